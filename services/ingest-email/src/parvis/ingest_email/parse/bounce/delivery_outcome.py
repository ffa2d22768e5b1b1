"""Turns a report about one of our replies into a DeliveryReported event. Pure; no I/O."""

from collections.abc import Sequence
from datetime import datetime

from parvis.common.contract.contact import ContactId
from parvis.common.contract.delivery import DeliveryReported, DeliveryState, FailureClass
from parvis.common.contract.mail_tokens import conversation_id_of_message_id
from parvis.common.contract.reply import ReplyId
from parvis.ingest_email.models.parsed_mail import MailReport, ParsedMail, ReportedRecipient

_OUTCOMES: dict[str, DeliveryState] = {
    "bounce": "undelivered",
    "delayed": "accepted",
    "delivered": "delivered",
    "complaint": "delivered",  # a complaint proves that the mail arrived
    "disposition": "delivered",
}
_NO_COMPLAINT = ("not-spam", "auth-failure")  # RFC 5965 §7.3, RFC 6591: sent by machines, or in our favour
_OF_MAIL_SYSTEMS = ("null-sender", "wording", "robot-address", "automatic-header", "report")


def find_reported_reply(mail: ParsedMail, domain: str, key: bytes) -> ReplyId | None:
    """Find the reply by the signed Message-ID of the returned mail, for servers that lose the bounce address."""
    if not (mail.report and conversation_id_of_message_id(mail.report.message_id, domain, key)):
        return None
    return ReplyId(mail.report.message_id.strip("<>").partition(".")[0])


def build_delivery_report(
    mail: ParsedMail, reply: ReplyId, bounce: ContactId, *, null_sender: bool, reported_at: datetime
) -> DeliveryReported | None:
    """Build the delivery event for one of our replies; None if the mail is an answer instead of a report.

    Gives:  what the fields made for it say; mere words only from a null sender or a mail system.
    Retry:  the same bounce gives the same provider id.
    """
    report = mail.report
    if report is None or not (report.is_structured or null_sender or mail.machine in _OF_MAIL_SYSTEMS):
        return None
    outcome = _OUTCOMES[report.kind]
    if report.kind == "delivered" and {recipient.action for recipient in report.recipients} <= {"relayed", "expanded"}:
        outcome = "accepted"  # relayed to a system that sends no reports (RFC 3464 §2.3.3)
    return DeliveryReported(
        reply_id=reply,
        channel="email",
        provider="smtp",
        provider_id=bounce,
        outcome=outcome,
        failure_class=_failure_class(report),
        detail=_detail(report),
        reported_at=reported_at,
    )


def _failure_class(report: MailReport) -> FailureClass | None:
    if report.kind == "complaint":
        return None if report.detail in _NO_COMPLAINT else "opted-out"
    failed = _failed_recipients(report.recipients)
    return (next((recipient.failure for recipient in failed), None) or "refused") if report.kind == "bounce" else None


def _detail(report: MailReport) -> str:
    """Return the provider's code, which never contains text of a person."""
    if report.kind in ("complaint", "disposition"):
        return f"{report.kind} {report.detail}".strip()[:200]
    recipients = _failed_recipients(report.recipients) or list(report.recipients)
    return next((recipient.status or recipient.reply_code for recipient in recipients), "")


def _failed_recipients(recipients: Sequence[ReportedRecipient]) -> list[ReportedRecipient]:
    return [recipient for recipient in recipients if recipient.action == "failed"]
