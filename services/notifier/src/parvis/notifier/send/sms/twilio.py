"""Sends text messages through Twilio's Messages API, and looks up their status in its message list."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import aiohttp
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

from parvis.common.contract.errors import Unavailable
from parvis.notifier.models.delivery import Delivery, ProviderMessage, SendOutcome
from parvis.twilio.error_codes import ErrorCode, failure_class_of, find_error_code
from parvis.twilio.http_client import NEVER_SENT, TwilioHttpClient
from parvis.twilio.message_statuses import delivery_state, has_failed

_WINDOW = timedelta(minutes=5)  # tolerance between Twilio's clock and ours
_PAGE = 100


class Twilio:
    """Twilio's Messages API, through the official client."""

    name = "twilio"
    is_polled = False

    def __init__(
        self, *, account_sid: str, auth_token: str, base_url: str, public_url: str, timeout_s: float, most: int
    ) -> None:
        self._http = TwilioHttpClient(base_url=base_url, timeout_s=timeout_s, max_connections=most)
        # Now, not at the first message: the client imports its whole API on first use, which blocks the event loop for 0.7 s.
        self._messages = Client(account_sid, auth_token, http_client=self._http).messages
        self._public_url = public_url

    async def send(self, delivery: Delivery, text: str, sender: str) -> SendOutcome:
        """Make one POST, without retries. A messaging service (MG…) chooses the sender number itself."""
        by = {"messaging_service_sid": sender} if sender.startswith("MG") else {"from_": sender}
        callback = f"{self._public_url}/sms/status?reply={quote(delivery.reply_id)}"
        try:
            message: Any = await self._messages.create_async(
                to=delivery.address, body=text, status_callback=callback, **by
            )
        except TwilioRestException as refusal:
            return outcome_of(int(refusal.status), refusal.code)
        except NEVER_SENT as error:
            return SendOutcome("retry", None, "temporary", type(error).__name__)
        except (TimeoutError, aiohttp.ClientError, TwilioException, OSError, ValueError) as error:
            return SendOutcome("unknown", None, "temporary", f"no answer: {type(error).__name__}")
        return SendOutcome("accepted", message.sid)

    async def find(self, delivery: Delivery, text: str) -> list[ProviderMessage]:
        """Query the messages to this number since the reservation; ours has our text, or else our reference.

        Raises: Unavailable.
        """
        since = (delivery.first_reserved_at or delivery.send_at) - _WINDOW
        try:
            listed: list[Any] = await self._messages.list_async(
                to=delivery.address, date_sent_after=since, limit=_PAGE, page_size=_PAGE
            )
        except (TimeoutError, aiohttp.ClientError, TwilioException, OSError, ValueError) as error:
            raise Unavailable(f"Twilio's list does not answer: {type(error).__name__}") from error
        to_them = [m for m in listed if str(m.direction).startswith("outbound")]
        ours = [m for m in to_them if m.body == text] or [m for m in to_them if delivery.reference in (m.body or "")]
        return [_provider_message(message) for message in ours]

    async def close(self) -> None:
        await self._http.close()


def _provider_message(message: Any) -> ProviderMessage:
    state = delivery_state(str(message.status)) or "accepted"
    code = str(message.error_code or "") if has_failed(state) else ""
    return ProviderMessage(state, Twilio.name, str(message.sid), failure_class_of(code) if code else None, code)


def outcome_of(status: int, code: int | None) -> SendOutcome:
    """The outcome of a request that the API refused. A 4xx is definite; after a 5xx the message may have been sent nevertheless."""
    if status >= 500:
        return SendOutcome("unknown", None, "temporary", f"HTTP {status}")
    known = find_error_code(code)
    if code is not None and known:
        return _refused(code, known)
    if status == 429:
        return SendOutcome("retry", None, "temporary", "HTTP 429")
    # A code that is not in our table says nothing about the address: no address is given up because the table is incomplete.
    return SendOutcome("failed", None, "refused", f"{code or ''} HTTP {status}".strip())


def _refused(code: int, error: ErrorCode) -> SendOutcome:
    state = "retry" if error.may_retry else "failed"
    return SendOutcome(state, None, error.failure_class, f"{code} {error.meaning}")
