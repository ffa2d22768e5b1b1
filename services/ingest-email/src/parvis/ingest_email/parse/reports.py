"""A bounce that names one of our replies in, what became of that reply out. Pure; no I/O."""

import re
from datetime import datetime

from parvis.common.contact import ContactId
from parvis.common.delivery import DeliveryReported, DeliveryState, FailureClass
from parvis.common.reply import ReplyId, conversation_of
from parvis.ingest_email.parse.machine import AUTO_REPLIED
from parvis.ingest_email.tables import FAILURES, Mail

_OUTCOMES: dict[str, DeliveryState] = {
    "failed": "undelivered",
    "delivered": "delivered",
    "delayed": "accepted",
    "relayed": "accepted",
    "expanded": "accepted",
}
_CODE = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_NOT_YET = re.compile(
    r"\b(?:delayed|will (?:be retried|retry|keep trying)|still trying|not yet been delivered|en attente)\b",
    re.IGNORECASE,
)
_READ_CHARACTERS = 8000


def reply_in(mail: Mail, domain: str, key: bytes) -> ReplyId | None:
    """The reply whose mail a report returns, by its signed Message-ID; for servers that lose the bounce address."""
    if not (mail.report and conversation_of(mail.report.message_id, domain, key)):
        return None
    return ReplyId(mail.report.message_id.strip("<>").partition(".")[0])


def report_of(
    mail: Mail, reply: ReplyId, bounce: ContactId, *, null_sender: bool, reported_at: datetime
) -> DeliveryReported | None:
    """What a mail to a bounce address says of the reply; none when it is no report but somebody's, or a robot's, answer.

    Gives:  the action of RFC 3464 where there is one; else, from a null sender, what its words say.
    Retry:  the same bounce gives the same provider id.
    """
    if mail.report and mail.report.action in _OUTCOMES:
        outcome, status = _OUTCOMES[mail.report.action], mail.report.status
    elif null_sender and mail.machine != AUTO_REPLIED and not mail.trouble:
        outcome, status = _by_its_words(f"{mail.subject}\n{mail.text[:_READ_CHARACTERS]}")
        if not status and mail.machine not in ("wording", "robot-address", "automatic-header"):
            return None
    else:
        return None
    return DeliveryReported(
        reply_id=reply,
        channel="email",
        provider="smtp",
        provider_id=bounce,
        outcome=outcome,
        failure_class=_failure(status) if outcome == "undelivered" else None,
        detail=status,
        reported_at=reported_at,
    )


def _by_its_words(text: str) -> tuple[DeliveryState, str]:
    found = _CODE.search(text)
    status = found[1] if found else ""
    return ("accepted" if status.startswith("4.") or _NOT_YET.search(text) else "undelivered"), status


def _failure(status: str) -> FailureClass:
    for prefix, failure in FAILURES:
        if status.startswith(prefix):
            return failure
    return "permanent"
