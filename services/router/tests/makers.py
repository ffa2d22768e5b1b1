"""Builds contacts, transfer requests and case updates for tests."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.routing.decisions import CaseUpdated, make_conversation_id
from parvis.common.contract.routing.transfer import TransferRequested
from parvis.common.testing import AN_INSTANT, a_contact


def sms(number: int, text: str = "bonjour", *, sender: str = "v1.one", **changes: Any) -> ContactReceived:
    values: dict[str, Any] = {"received_at": AN_INSTANT + timedelta(minutes=number), "contact_point_hash": sender}
    return a_contact(key=f"SM{number}", text=text, **(values | changes))


def mail(number: int, text: str = "bonjour", **changes: Any) -> ContactReceived:
    return sms(number, text, channel="email", **changes)


def a_transfer(
    contact: ContactReceived, to: str, *, from_department: str, transfer_id: str = "t1"
) -> TransferRequested:
    return TransferRequested(
        transfer_id=transfer_id,
        conversation_id=make_conversation_id(contact.contact_id, contact.received_at),
        from_department=from_department,
        to_department=to,
        reason="not ours",
        requested_by="agent-7",
        requested_at=AN_INSTANT,
    )


def a_case(contact: ContactReceived, state: str, *, department: str, hours: int = 1) -> CaseUpdated:
    return CaseUpdated(
        conversation_id=make_conversation_id(contact.contact_id, contact.received_at),
        reference=contact.reference,
        department=department,
        state=state,  # pyright: ignore[reportArgumentType]
        at=AN_INSTANT + timedelta(hours=hours),
    )


def kinds(records: Sequence[Any]) -> list[str]:
    return [received.header("ce_type") for received in records]
