"""Delivers messages: posts status callbacks for those to citizens, and webhooks for those from citizens."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

from parvis.simulators.background_tasks import BackgroundTasks
from parvis.simulators.settings import Settings
from parvis.simulators.twilio.faults import TwilioFaults
from parvis.simulators.twilio.magic_numbers import NEVER_ANNOUNCED, Behaviour
from parvis.simulators.twilio.messages import TwilioMessage, WebhookAttempt
from parvis.simulators.twilio.segments import count_sms_segments
from parvis.simulators.twilio.webhook_sender import WebhookSender, is_delivered


class Carrier:
    """The telephone network behind the account."""

    def __init__(self, settings: Settings, courier: WebhookSender, background: BackgroundTasks) -> None:
        self._settings = settings
        self._courier = courier
        self._background = background
        self.faults = TwilioFaults()
        self.opted_out: set[str] = set()

    # to a citizen

    async def send(self, message: TwilioMessage, behaviour: Behaviour) -> None:
        """Move the message through its states with a callback for each; in the background, unless a fault is `before_answer`."""
        if self.faults.callbacks.before_answer:
            await self._travel(message, behaviour)
        else:
            self._background.spawn(self._travel(message, behaviour))

    async def _travel(self, message: TwilioMessage, behaviour: Behaviour) -> None:
        step_ms = self._settings.slow_step_ms if behaviour.slow else self._settings.step_ms
        forms = [await self._report_status(message)]
        for status in behaviour.then:
            await asyncio.sleep(step_ms / 1000)
            message.sender = (
                message.sender or self._settings.town_number
            )  # a messaging service chooses the sender when it sends
            message.becomes(status, behaviour.error_code if status in {"undelivered", "failed"} else None)
            forms.append(await self._report_status(message))
        if self.faults.callbacks.reverse:
            for form in reversed(forms):
                await self._post_callback(message, form)

    async def _report_status(self, message: TwilioMessage) -> dict[str, str]:
        """Post the message's state to the town. Delivery continues even if the town does not answer."""
        form = self._callback(message)
        if self.faults.callbacks.before_answer and not self.faults.callbacks.reverse:
            await self._post_callback(message, form)
        elif not self.faults.callbacks.reverse:
            self._background.spawn(self._post_callback(message, form))
        return form

    def _callback(self, message: TwilioMessage) -> dict[str, str]:
        form = {
            "AccountSid": self._settings.twilio_account_sid,
            "ApiVersion": "2010-04-01",
            "From": message.sender or "",
            "MessageSid": message.sid,
            "MessageStatus": message.status,
            "SmsSid": message.sid,
            "SmsStatus": message.status,
            "To": message.recipient,
        }
        if message.messaging_service_sid:
            form["MessagingServiceSid"] = message.messaging_service_sid
        if message.error_code:
            form["ErrorCode"] = str(message.error_code)
        if message.status in {"delivered", "undelivered"}:
            form["RawDlrDoneDate"] = datetime.now(UTC).strftime("%y%m%d%H%M")
        return form

    async def _post_callback(self, message: TwilioMessage, form: Mapping[str, str]) -> None:
        faults = self.faults.callbacks
        if message.status_callback is None or faults.drop:
            return
        for _ in range(faults.repeat):
            message.attempts += await self._courier.post(message.status_callback, form, forge=faults.forge)

    # from a citizen

    def obey_twiml(self, sender: str, order: str) -> None:
        """Apply Advanced Opt-Out: after STOP, messages to this number are refused with 21610."""
        if order == "STOP":
            self.opted_out.add(sender)
        elif order == "START":
            self.opted_out.discard(sender)

    async def announce(
        self, message: TwilioMessage, extra: Mapping[str, str], *, media_base: str, forge: bool = False
    ) -> list[WebhookAttempt]:
        """Post a message to the webhook, then to the fallback URL if the webhook failed.

        Gives: every attempt; `message.outcome` is `accepted`, `fallback` or `dropped`.
        """
        if self.faults.webhooks.drop or message.sender == NEVER_ANNOUNCED:
            message.outcome = "dropped"
            return []
        form = self._webhook(message, media_base) | dict(extra)
        attempts: list[WebhookAttempt] = []
        url = self._settings.sms_webhook_urls.get(message.recipient) or self._settings.sms_webhook_url
        outcome = "dropped"
        if url is not None:
            attempts = await self._courier.post(url, form, forge=forge)
            outcome = "accepted" if is_delivered(attempts) else "dropped"
        fallback = self._settings.sms_fallback_url
        if outcome == "dropped" and fallback is not None:
            form |= {"ErrorCode": _error_code(attempts), "ErrorUrl": url or ""}
            attempts = attempts + await self._courier.post(fallback, form, forge=forge)
            outcome = "fallback" if is_delivered(attempts) else "dropped"
        message.attempts += attempts
        message.outcome = outcome
        return attempts

    def _webhook(self, message: TwilioMessage, media_base: str) -> dict[str, str]:
        form = {
            "ToCountry": "FR",
            "ToState": "",
            "SmsMessageSid": message.sid,
            "NumMedia": str(len(message.media)),
            "ToCity": "",
            "FromZip": "",
            "SmsSid": message.sid,
            "FromState": "",
            "SmsStatus": "received",
            "FromCity": "",
            "Body": message.body,
            "FromCountry": "FR",
            "To": message.recipient,
            "ToZip": "",
            "NumSegments": str(count_sms_segments(message.body)),
            "MessageSid": message.sid,
            "AccountSid": self._settings.twilio_account_sid,
            "From": message.sender or "",
            "ApiVersion": "2010-04-01",
        }
        for index, media in enumerate(message.media):
            form[f"MediaUrl{index}"] = f"{media_base}/Messages/{message.sid}/Media/{media.sid}"
            form[f"MediaContentType{index}"] = media.content_type
        if message.messaging_service_sid:
            form["MessagingServiceSid"] = message.messaging_service_sid
        return form


def _error_code(attempts: list[WebhookAttempt]) -> str:
    """Give Twilio's error code: 11205 for a failed connection, 11200 for a status other than 2xx."""
    return "11200" if attempts and attempts[-1].status is not None else "11205"
