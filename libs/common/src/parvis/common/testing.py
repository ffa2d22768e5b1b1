"""Provides what tests of every service need: a contact, a fixed instant, a producer that remembers."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from parvis.common.bus.cloudevents import Record
from parvis.common.contract.contact import (
    ClaimCheck,
    ContactPersonalData,
    ContactPoint,
    ContactReceived,
    Verification,
    make_contact_id,
)
from parvis.common.contract.errors import Unavailable
from parvis.common.contract.normalize_contact_points import hash_contact_point
from parvis.common.contract.references import make_reference

AN_INSTANT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
A_KEY = b"a key for tests only, not for use"


def a_contact(*, key: str = "SM1", text: str = "Bonjour", channel: str = "sms", **changes: Any) -> ContactReceived:
    """A contact as a door would make it; any member can be changed by name."""
    contact = make_contact_id(channel, "+33536490100", key)
    point = ContactPoint(kind="phone", value="+33639980001")
    values: dict[str, Any] = {
        "contact_id": contact,
        "reference": make_reference(contact),
        "channel": channel,
        "received_at": AN_INSTANT,
        "recorded_at": AN_INSTANT,
        "to": "+33536490100",
        "sender": Verification(level="provider"),
        "original": ClaimCheck(blob=f"{contact}/{'0' * 64}", sha256="0" * 64, size_bytes=1, media_type="text/plain"),
        "contact_point_hash": hash_contact_point(point, A_KEY),
        "personal": ContactPersonalData.model_validate({"from": point, "text": text}),
    }
    return ContactReceived(**(values | changes))


@dataclass
class FakeProducer:
    """Remembers what was sent; `broken` makes it answer as a Kafka that is away."""

    sent: list[Record] = field(default_factory=list[Record])
    broken: Unavailable | None = None

    async def send(self, record: Record, *, deadline_s: float = 8.0) -> None:
        await self.send_all([record], deadline_s=deadline_s)

    async def send_all(self, records: list[Record], *, deadline_s: float = 8.0) -> None:
        if self.broken:
            raise self.broken
        self.sent.extend(records)

    async def check(self) -> None:
        if self.broken:
            raise self.broken
