"""A status callback in, a delivery report out. Pure; no I/O."""

import re
from datetime import datetime

from parvis.common.contract.delivery import DeliveryReported
from parvis.common.contract.errors import Rejected
from parvis.common.contract.reply import ReplyId
from parvis.ingest_sms.parse.form import WHATSAPP, Announcement
from parvis.ingest_sms.tables import FAILED, FAILURES, OUTCOMES

_REPLY_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def parse_status(told: Announcement, *, reply: str, reported_at: datetime) -> DeliveryReported:
    """Turn one status callback into a delivery report.

    Raises: Rejected, for a reply id that is none, or a status that Twilio does not have.
    """
    if not _REPLY_ID.fullmatch(reply):
        raise Rejected("the callback names no reply")
    outcome = OUTCOMES.get(told.value("MessageStatus").lower())
    if not outcome:
        raise Rejected("MessageStatus is not known")
    code = told.value("ErrorCode")
    return DeliveryReported(
        reply_id=ReplyId(reply),
        channel="whatsapp" if told.value("To").startswith(WHATSAPP) else "sms",
        provider="twilio",
        provider_id=told.message_sid,
        outcome=outcome,
        failure_class=FAILURES.get(code, "temporary") if outcome in FAILED else None,
        detail=code if code.isascii() and code.isdigit() and len(code) <= 6 else "",
        reported_at=reported_at,
    )
