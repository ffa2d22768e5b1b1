"""Composes an RFC 5322 message from a citizen's input. Pure; no I/O."""

from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from uuid import uuid4

from pydantic import AwareDatetime, Base64Bytes, BaseModel, ConfigDict, Field


class OutgoingAttachment(BaseModel):
    model_config = ConfigDict(extra="forbid")

    filename: str
    content_type: str = Field(default="application/octet-stream", pattern="^[^/ ]+/[^/ ]+$")
    base64: Base64Bytes


class OutgoingMail(BaseModel):
    """A citizen's mail to the town."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    sender: str = Field(
        validation_alias="from", description="The From header, such as `A. Citizen <a@citizens.example>`."
    )
    to: str | list[str] | None = Field(
        default=None, description="Recipients, also of the envelope; by default the town's mailbox."
    )
    envelope_from: str | None = Field(
        default=None, description="Sender of the envelope, by default that of `from`; an empty text is the null sender."
    )
    subject: str = ""
    text: str = ""
    html: str | None = None
    message_id: str | None = Field(default=None, description="Message-ID with angle brackets; by default a new one.")
    in_reply_to: str | None = None
    date: AwareDatetime | None = None
    headers: dict[str, str] = Field(
        default_factory=dict, description="Headers to add, or to replace ours with, unchanged."
    )
    attachments: list[OutgoingAttachment] = Field(default_factory=list[OutgoingAttachment])

    def recipients(self, town_mailbox: str) -> list[str]:
        addresses = [self.to] if isinstance(self.to, str) else self.to or [town_mailbox]
        return [parseaddr(address)[1] or address for address in addresses]

    def envelope_sender(self) -> str:
        return parseaddr(self.sender)[1] if self.envelope_from is None else self.envelope_from


def compose_mail(outgoing: OutgoingMail, town_mailbox: str, now: AwareDatetime) -> bytes:
    """Compose the message.

    Raises: ValueError, for an invalid header.
    """
    try:
        return _compose(outgoing, town_mailbox, now).as_bytes()
    except (MessageError, LookupError, AttributeError, TypeError) as error:
        raise ValueError(f"the message cannot be composed: {error}") from error


def _compose(outgoing: OutgoingMail, town_mailbox: str, now: AwareDatetime) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    domain = parseaddr(outgoing.sender)[1].rpartition("@")[2] or "citizens.example"
    message["From"] = outgoing.sender
    message["To"] = ", ".join(outgoing.recipients(town_mailbox))
    message["Subject"] = outgoing.subject
    message["Date"] = format_datetime(outgoing.date or now)
    message["Message-ID"] = outgoing.message_id or f"<{uuid4()}@{domain}>"
    if outgoing.in_reply_to:
        message["In-Reply-To"] = outgoing.in_reply_to
        message["References"] = outgoing.in_reply_to
    message.set_content(outgoing.text)
    if outgoing.html is not None:
        message.add_alternative(outgoing.html, subtype="html")
    for attachment in outgoing.attachments:
        maintype, _, subtype = attachment.content_type.partition("/")
        message.add_attachment(
            bytes(attachment.base64), maintype=maintype, subtype=subtype, filename=attachment.filename
        )
    for name, value in outgoing.headers.items():
        del message[name]
        message[name] = value
    return message
