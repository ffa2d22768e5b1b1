"""Parses a status callback of Twilio's into a DeliveryReported event. Pure; no I/O."""

import re
from datetime import datetime

from parvis.common.contract.delivery import DeliveryReported
from parvis.common.contract.errors import Rejected
from parvis.common.contract.reply import ReplyId
from parvis.ingest_sms.parse.webhook_form import WHATSAPP, WebhookForm
from parvis.twilio.error_codes import failure_class_of
from parvis.twilio.message_statuses import delivery_state, has_failed

_REPLY_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def parse_status_callback(callback: WebhookForm, *, reply_id: str, reported_at: datetime) -> DeliveryReported:
    """Turn one status callback into a delivery report.

    Raises: Rejected, for a malformed reply id, or a status that Twilio does not document.
    """
    if not _REPLY_ID.fullmatch(reply_id):
        raise Rejected("the callback URL has no valid reply id")
    state = delivery_state(callback.value("MessageStatus"))
    if state is None:
        raise Rejected("MessageStatus is unknown")
    code = callback.value("ErrorCode")
    return DeliveryReported(
        reply_id=ReplyId(reply_id),
        channel="whatsapp" if callback.value("To").startswith(WHATSAPP) else "sms",
        provider="twilio",
        provider_id=callback.message_sid,
        outcome=state,
        failure_class=failure_class_of(code) if has_failed(state) else None,
        detail=code if code.isascii() and code.isdigit() and len(code) <= 6 else "",
        reported_at=reported_at,
    )
