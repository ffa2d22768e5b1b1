"""Extracts the contents of a mail for its page. Pure; no I/O."""

import email
import email.policy
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import lru_cache
from hashlib import sha256
from typing import cast


@dataclass(frozen=True, slots=True)
class ReadAttachment:
    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class ReadMail:
    subject: str = ""
    sender: str = ""
    to: str = ""
    message_id: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    text: str | None = None
    html: str | None = None
    attachments: tuple[ReadAttachment, ...] = field(default=())
    is_readable: bool = True


@lru_cache(maxsize=2000)  # the inbox page reads the same mails every few seconds
def read_mail(content: bytes) -> ReadMail:
    """Read a mail; one that Python's parser trips over gives a Reading that says so."""
    try:
        return _read(email.message_from_bytes(content, _class=EmailMessage, policy=email.policy.default))
    except (ValueError, LookupError, AttributeError, TypeError):  # the parser has raised each of these on hostile mail
        return ReadMail(is_readable=False)


def _read(message: EmailMessage) -> ReadMail:
    headers = tuple((name, str(value)) for name, value in message.items())
    first = {name.lower(): value for name, value in reversed(headers)}
    return ReadMail(
        subject=first.get("subject", ""),
        sender=first.get("from", ""),
        to=first.get("to", ""),
        message_id=first.get("message-id", "").strip(),
        headers=headers,
        text=_body(message, "plain"),
        html=_body(message, "html"),
        attachments=tuple(_attachment(part) for part in _parts(message)),
    )


def _body(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    return None if part is None else str(part.get_content()).replace("\r\n", "\n")


def _parts(message: EmailMessage) -> list[EmailMessage]:
    """List the parts that are neither a body nor a container, including those of a delivery report."""
    bodies = [message.get_body((kind,)) for kind in ("plain", "html")]
    parts = [part for part in message.walk() if part not in bodies]
    return [part for part in parts if part.get_content_maintype() != "multipart" and part is not message]


def _attachment(part: EmailMessage) -> ReadAttachment:
    content_type = part.get_content_type()
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        # Python represents a message/* part as a list of messages.
        content = b"\r\n".join(bytes(inner) for inner in cast(list[EmailMessage], part.get_payload()))
    return ReadAttachment(part.get_filename() or content_type.replace("/", "."), content_type, content)


def shown(reading: ReadMail) -> dict[str, object]:
    return {
        "subject": reading.subject,
        "from": reading.sender,
        "to": reading.to,
        "message_id": reading.message_id,
        "headers": [list(header) for header in reading.headers],
        "text": reading.text,
        "html": reading.html,
        "readable": reading.is_readable,
        "attachments": [
            {
                "filename": part.filename,
                "content_type": part.content_type,
                "size_bytes": len(part.content),
                "sha256": sha256(part.content).hexdigest(),
            }
            for part in reading.attachments
        ],
    }
