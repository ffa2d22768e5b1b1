"""Composes delivery status notifications (RFC 3464) for the recipients of a mail. Pure; no I/O.

Source: RFC 3461 (requested notifications), RFC 3464 (the report), RFC 3834 §2 (out-of-office replies).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from email.mime.text import MIMEText
from email.policy import SMTP
from email.utils import format_datetime

from parvis.simulators.mail.mailboxes import EnvelopeRecipient, StoredMail

RELAY = "mx.citizens.example"


@dataclass(frozen=True, slots=True)
class RecipientOutcome:
    """The outcome for one recipient."""

    recipient: EnvelopeRecipient
    action: str
    status: str
    diagnostic: str


def compose_delivered_report(recipient: EnvelopeRecipient) -> RecipientOutcome:
    return RecipientOutcome(recipient, "delivered", "2.0.0", "smtp; 250 2.0.0 delivered to the mailbox")


def compose_failure_report(recipient: EnvelopeRecipient) -> RecipientOutcome:
    return RecipientOutcome(recipient, "failed", "5.1.1", f"smtp; 550 5.1.1 <{recipient.address}>: no such mailbox")


def compose_report(mail: StoredMail, fates: Sequence[RecipientOutcome]) -> bytes:
    """Compose the notification for the sender of `mail`.

    Gives:  multipart/report of three parts: a text, message/delivery-status, and the headers of the original (all of it
            with `RET=FULL` and a failure: RFC 3461 §4.3). Composed as bytes: RFC 2046 §5.2.1 forbids to encode the
            original, and Python's generator would encode 8-bit text.
    Retry:  the same mail and outcomes give the same Message-ID.
    """
    failed = any(fate.action == "failed" for fate in fates)
    boundary = f"=_report_{mail.id}"
    top = _block(
        ("From", f"Mail Delivery System <mailer-daemon@{RELAY}>"),
        ("To", mail.mail_from),
        ("Subject", "Undelivered Mail Returned to Sender" if failed else "Successful Mail Delivery Report"),
        ("Date", format_datetime(mail.received_at)),
        ("Message-ID", f"<dsn.{'failed' if failed else 'delivered'}.{mail.id}@{RELAY}>"),
        ("Auto-Submitted", "auto-replied"),
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/report; report-type=delivery-status; boundary="{boundary}"'),
    )
    headers, _, _ = mail.content.partition(b"\r\n\r\n")
    whole = failed and mail.return_full
    parts = (
        _part("text/plain; charset=utf-8", _sentence(fates)),
        _part("message/delivery-status", _status(mail, fates)),
        _part("message/rfc822", mail.content) if whole else _part("text/rfc822-headers", headers + b"\r\n"),
    )
    between = f"--{boundary}\r\n".encode()
    return top + b"\r\n" + b"".join(between + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()


def _block(*fields: tuple[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode()


def _part(content_type: str, content: bytes) -> bytes:
    encoding = "7bit" if content.isascii() else "8bit"
    return _block(("Content-Type", content_type), ("Content-Transfer-Encoding", encoding)) + b"\r\n" + content


def _sentence(fates: Sequence[RecipientOutcome]) -> bytes:
    lines = [f"This is the mail system of {RELAY}.", ""]
    lines += [f"<{fate.recipient.address}>: {fate.action}, {fate.diagnostic}" for fate in fates]
    return ("\r\n".join(lines) + "\r\n").encode()


def _status(mail: StoredMail, fates: Sequence[RecipientOutcome]) -> bytes:
    envelope = [("Original-Envelope-Id", mail.envelope_id)] if mail.envelope_id else []
    blocks = [
        _block(*envelope, ("Reporting-MTA", f"dns; {RELAY}"), ("Arrival-Date", format_datetime(mail.received_at)))
    ]
    for fate in fates:
        original = [("Original-Recipient", fate.recipient.original)] if fate.recipient.original else []
        blocks.append(
            _block(
                *original,
                ("Final-Recipient", f"rfc822; {fate.recipient.address}"),
                ("Action", fate.action),
                ("Status", fate.status),
                ("Diagnostic-Code", fate.diagnostic),
            )
        )
    return b"\r\n".join(blocks)


def compose_absence_reply(mail: StoredMail, recipient: EnvelopeRecipient, *, reply_to_id: str) -> bytes:
    """Compose an out-of-office reply: null sender, `Auto-Submitted: auto-replied`."""
    answer = MIMEText("Je suis absent jusqu’à lundi. / I am away until Monday.\n", "plain", "utf-8", policy=SMTP)
    answer["From"] = recipient.address
    answer["To"] = mail.mail_from
    answer["Subject"] = "Absence / Out of office"
    answer["Date"] = format_datetime(mail.received_at)
    answer["Message-ID"] = f"<away.{mail.id}@{RELAY}>"
    answer["Auto-Submitted"] = "auto-replied"
    if reply_to_id:
        answer["In-Reply-To"] = reply_to_id
        answer["References"] = reply_to_id
    return answer.as_bytes()
