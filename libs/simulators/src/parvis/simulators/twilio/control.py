"""Serves the control API of the Twilio simulator: play a citizen, list messages, inject faults."""

import xml.etree.ElementTree as ET
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from parvis.simulators.twilio.carrier import Carrier
from parvis.simulators.twilio.faults import TwilioFaults
from parvis.simulators.twilio.magic_numbers import DELIVERED
from parvis.simulators.twilio.messages import API, Account, MessageMedia, TwilioMessage, WebhookAttempt, new_sid
from parvis.simulators.twilio.webhook_sender import is_delivered


class InboundMedia(BaseModel):
    model_config = ConfigDict(extra="forbid")

    content_type: str = Field(description="Media type, such as image/jpeg.")
    base64: Base64Bytes = Field(description="The content.")


class InboundSms(BaseModel):
    """A citizen's message to the town."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    sender: str = Field(
        validation_alias="from", description="The citizen's number, E.164; `whatsapp:` in front for WhatsApp."
    )
    to: str | None = Field(default=None, description="The town's number; by default the one in the settings.")
    body: str = ""
    media: list[InboundMedia] = Field(default_factory=list[InboundMedia])
    sid: str | None = Field(
        default=None, pattern="^(SM|MM)[0-9a-f]{32}$", description="SID of a message to announce again."
    )
    repeat: int = Field(
        default=1, ge=1, le=100, description="Number of times that it is announced, one after the other."
    )
    forge: bool = Field(default=False, description="Send a wrong signature.")
    announce: bool = Field(
        default=True, description="False stores the message without a webhook, as after Twilio gave up."
    )
    messaging_service_sid: str | None = None
    opt_out_type: Literal["STOP", "START", "HELP"] | None = Field(
        default=None,
        description="Keyword that Twilio recognised and acted on, reported in the webhook.",
    )
    profile_name: str | None = Field(default=None, description="Display name in WhatsApp.")

    def extra(self) -> dict[str, str]:
        """Give the optional parameters of a webhook: WhatsApp's, and those of Advanced Opt-Out."""
        order = {"OptOutType": self.opt_out_type} if self.opt_out_type else {}
        if not self.sender.startswith("whatsapp:"):
            return order
        return order | {"WaId": self.sender.removeprefix("whatsapp:+"), "ProfileName": self.profile_name or ""}


async def receive(
    inbound: InboundSms, account: Account, carrier: Carrier, *, town_number: str, base_url: str
) -> dict[str, object]:
    """Store a citizen's message and announce it to the town.

    Gives: the SID, the outcome (`accepted`, `fallback`, `dropped`, or None if not announced) and every attempt.
    """
    media = [MessageMedia(part.content_type, bytes(part.base64)) for part in inbound.media]
    sid = inbound.sid or new_sid("MM" if media else "SM")
    to = inbound.to or town_number
    message = TwilioMessage(
        sid, "inbound", inbound.sender, to, inbound.body, "received", inbound.messaging_service_sid, media=media
    )
    message.sent_at = message.created_at
    message = account.store_message(message)
    if inbound.opt_out_type:
        carrier.obey_twiml(inbound.sender, inbound.opt_out_type)
    attempts: list[WebhookAttempt] = []
    media_base = f"{base_url.rstrip('/')}{API}/Accounts/{account.sid}"
    for _ in range(inbound.repeat if inbound.announce else 0):
        attempts += await carrier.announce(message, inbound.extra(), media_base=media_base, forge=inbound.forge)
    await _obey_twiml(attempts, message, account, carrier)
    return {"sid": sid, "outcome": message.outcome, "attempts": [attempt.shown() for attempt in attempts]}


async def _obey_twiml(
    attempts: list[WebhookAttempt], message: TwilioMessage, account: Account, carrier: Carrier
) -> None:
    """Send the `<Message>` of the town's TwiML to the sender; as Twilio does, only that of the first accepted answer."""
    if not is_delivered(attempts):
        return
    try:
        texts = [verb.text or "" for verb in ET.fromstring(attempts[-1].body).iter("Message")]  # noqa: S314 (written by the town)
    except ET.ParseError:
        return
    for text in texts:
        answer = TwilioMessage(new_sid("SM"), "outbound-reply", message.recipient, message.sender or "", text, "queued")
        await carrier.send(account.store_message(answer), DELIVERED)


def message_as_json(message: TwilioMessage, account: Account) -> dict[str, object]:
    """Give the API's resource and the simulator's own fields."""
    return message.resource(account.sid) | {
        "outcome": message.outcome,
        "status_callback": message.status_callback,
        "created_at": message.created_at.isoformat(),
        "attempts": [attempt.shown() for attempt in message.attempts],
    }


def control_routes(account: Account, carrier: Carrier, *, town_number: str) -> APIRouter:
    """Build the routes under `/_sim`."""
    router = APIRouter(prefix="/_sim")

    @router.post("/inbound")
    async def inbound(request: Request, message: InboundSms) -> JSONResponse:
        base_url = str(request.base_url)
        return JSONResponse(await receive(message, account, carrier, town_number=town_number, base_url=base_url))

    @router.get("/messages")
    async def messages(to: str | None = None, sender: str | None = None, direction: str | None = None) -> JSONResponse:
        messages = [
            message_as_json(message, account)
            for message in account.messages.values()
            if to in (None, message.recipient)
            and sender in (None, message.sender)
            and direction in (None, message.direction)
        ]
        return JSONResponse({"messages": messages})

    @router.delete("/messages")
    async def forget() -> JSONResponse:
        account.forget()
        return JSONResponse({"messages": []})

    @router.get("/calls")
    async def calls() -> JSONResponse:
        return JSONResponse({"calls": list(account.calls)})

    @router.get("/faults")
    async def faults() -> TwilioFaults:
        return carrier.faults

    @router.post("/faults")
    async def set_faults(faults: TwilioFaults) -> TwilioFaults:
        carrier.faults = faults
        return faults

    return router
