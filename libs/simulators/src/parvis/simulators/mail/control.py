"""Serves the control API of the mail provider: list mails, write as a citizen, inject faults."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.utils import parseaddr

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from parvis.simulators.mail.mailboxes import Mailboxes, StoredMail
from parvis.simulators.mail.mime_builder import OutgoingMail, compose_mail
from parvis.simulators.mail.mime_reader import read_mail
from parvis.simulators.mail.mime_reader import shown as shown_reading
from parvis.simulators.mail.relay import MailFaults, SimulatedMailRelay
from parvis.simulators.mail.smtp_client import CitizenSmtpClient, SentMail


def mail_as_json(mail: StoredMail) -> dict[str, object]:
    """Describe the envelope and the content of a mail."""
    return {
        "id": mail.id,
        "received_at": mail.received_at.isoformat(),
        "mail_from": mail.mail_from,
        "rcpt_to": [recipient.address for recipient in mail.recipients],
        "tls": mail.tls,
        "size_bytes": len(mail.content),
        "dsn": {
            "envid": mail.envelope_id,
            "ret": "FULL" if mail.return_full else "HDRS",
            "recipients": [
                {"address": to.address, "notify": sorted(to.notify), "orcpt": to.original} for to in mail.recipients
            ],
        },
        "raw_url": f"/mail/{mail.id}/raw",
    } | shown_reading(read_mail(mail.content))


async def send(outgoing: OutgoingMail, postman: CitizenSmtpClient, town_mailbox: str) -> SentMail:
    """Compose and send a citizen's mail.

    Raises: ValueError, when it cannot be composed.
    """
    content = compose_mail(outgoing, town_mailbox, datetime.now(UTC))
    return await postman.send(outgoing.envelope_sender(), outgoing.recipients(town_mailbox), content)


class MailControl:
    """The routes under `/_sim`."""

    def __init__(
        self, box: Mailboxes, relay: SimulatedMailRelay, postman: CitizenSmtpClient, *, town_mailbox: str
    ) -> None:
        self._box = box
        self._relay = relay
        self._postman = postman
        self._town_mailbox = town_mailbox

    def routes(self) -> APIRouter:
        router = APIRouter(prefix="/_sim")
        router.add_api_route("/messages", self.messages, methods=["GET"])
        router.add_api_route("/messages", self.forget, methods=["DELETE"])
        router.add_api_route("/sent", self.sent, methods=["GET"])
        router.add_api_route("/send", self.send, methods=["POST"])
        router.add_api_route("/faults", self.faults, methods=["GET"])
        router.add_api_route("/faults", self.set_faults, methods=["POST"])
        return router

    async def messages(self, to: str | None = None) -> JSONResponse:
        mails = [
            mail for mail in self._box.mails if to is None or to in {recipient.address for recipient in mail.recipients}
        ]
        return JSONResponse({"messages": [mail_as_json(mail) for mail in mails]})

    async def forget(self) -> JSONResponse:
        self._box.forget()
        self._postman.sent.clear()
        return JSONResponse({"messages": []})

    async def sent(self) -> JSONResponse:
        return JSONResponse({"sent": [mail.shown() for mail in self._postman.sent]})

    async def send(self, request: Request, sender: str | None = None, to: str | None = None) -> JSONResponse:
        content = await request.body()
        if request.headers.get("Content-Type", "").startswith("message/rfc822"):
            return JSONResponse((await self._send_raw(content, sender, to)).shown())
        try:
            outgoing = OutgoingMail.model_validate_json(content)
            return JSONResponse((await send(outgoing, self._postman, self._town_mailbox)).shown())
        except ValidationError as error:
            raise HTTPException(
                422, error.errors(include_url=False, include_context=False, include_input=False)
            ) from error
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    async def _send_raw(self, content: bytes, sender: str | None, to: str | None) -> SentMail:
        """Send bytes unchanged. The envelope is that of the query, else From and the town's mailbox."""
        header = str(message_from_bytes(content, policy=policy.compat32).get("From", ""))
        mail_from = parseaddr(header)[1] if sender is None else sender
        return await self._postman.send(mail_from, [to or self._town_mailbox], content)

    async def faults(self) -> MailFaults:
        return self._relay.faults

    async def set_faults(self, faults: MailFaults) -> MailFaults:
        self._relay.faults = faults
        return faults
