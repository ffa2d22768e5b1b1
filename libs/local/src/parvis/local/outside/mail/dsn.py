"""A mail and the fate of its recipients in, a delivery status notification out. Pure.

Source: RFC 3461 (what was asked), RFC 3464 (the report), RFC 3834 §2 (the automatic answer of one who is away).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP
from email.utils import format_datetime

from parvis.local.outside.mail.box import Mail, Recipient

RELAY = "mx.citizens.example"


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one recipient."""

    recipient: Recipient
    action: str
    status: str
    diagnostic: str


def delivered(recipient: Recipient) -> Fate:
    return Fate(recipient, "delivered", "2.0.0", "smtp; 250 2.0.0 delivered to the mailbox")


def rejected(recipient: Recipient) -> Fate:
    return Fate(recipient, "failed", "5.1.1", f"smtp; 550 5.1.1 <{recipient.address}>: no such mailbox")


def report(mail: Mail, fates: Sequence[Fate]) -> bytes:
    """Write the notification for the sender of `mail`.

    Shape:  multipart/report of three parts: a text, message/delivery-status, the original's headers (the whole original
            when `RET=FULL` was given and something failed: RFC 3461 §4.3).
    Retry:  the same mail and fates give the same Message-ID.
    """
    failed = any(fate.action == "failed" for fate in fates)
    notification = MIMEMultipart("report", report_type="delivery-status", policy=SMTP)
    notification["From"] = f"Mail Delivery System <mailer-daemon@{RELAY}>"
    notification["To"] = mail.mail_from
    notification["Subject"] = "Undelivered Mail Returned to Sender" if failed else "Successful Mail Delivery Report"
    notification["Date"] = format_datetime(mail.received_at)
    notification["Message-ID"] = f"<dsn.{'failed' if failed else 'delivered'}.{mail.id}@{RELAY}>"
    notification["Auto-Submitted"] = "auto-replied"
    notification["MIME-Version"] = "1.0"
    notification.attach(MIMEText(_sentence(fates), "plain", "utf-8", policy=SMTP))
    notification.attach(_status(mail, fates))
    notification.attach(_original(mail, whole=failed and mail.return_full))
    return _written(notification)


def _sentence(fates: Sequence[Fate]) -> str:
    lines = [f"<{fate.recipient.address}>: {fate.action}, {fate.diagnostic}" for fate in fates]
    return "This is the mail system of " + RELAY + ".\n\n" + "\n".join(lines) + "\n"


def _status(mail: Mail, fates: Sequence[Fate]) -> Message:
    whole = Message(policy=SMTP)
    if mail.envelope_id:
        whole["Original-Envelope-Id"] = mail.envelope_id
    whole["Reporting-MTA"] = f"dns; {RELAY}"
    whole["Arrival-Date"] = format_datetime(mail.received_at)
    blocks = [whole]
    for fate in fates:
        block = Message(policy=SMTP)
        if fate.recipient.original:
            block["Original-Recipient"] = fate.recipient.original
        block["Final-Recipient"] = f"rfc822; {fate.recipient.address}"
        block["Action"] = fate.action
        block["Status"] = fate.status
        block["Diagnostic-Code"] = fate.diagnostic
        blocks.append(block)
    part = MIMEBase("message", "delivery-status", policy=SMTP)
    for block in blocks:
        part.attach(block)
    return part


def _original(mail: Mail, *, whole: bool) -> Message:
    headers, _, _ = mail.content.partition(b"\r\n\r\n")
    kind, content = ("rfc822", mail.content) if whole else ("rfc822-headers", headers + b"\r\n")
    # message/rfc822 must not be encoded (RFC 2046 §5.2.1): its bytes are written as they came.
    part = MIMEBase("message" if whole else "text", kind, policy=SMTP)
    part["Content-Transfer-Encoding"] = "7bit" if content.isascii() else "8bit"
    part.set_payload(content.decode("ascii", "surrogateescape"))
    return part


def _written(message: Message) -> bytes:
    return message.as_bytes(policy=SMTP.clone(cte_type="8bit"))


def away(mail: Mail, recipient: Recipient, *, reply_to_id: str) -> bytes:
    """Write the automatic answer of a citizen who is away: null sender, `Auto-Submitted: auto-replied`."""
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
    return _written(answer)
