"""The rows of the router, as `migrations/` creates them. Data only."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Literal
from uuid import UUID

SCHEMA = "router"
Kind = Literal["contact", "transfer", "split", "opened", "linked", "unlinked", "refusal"]


# Days. An SMS has no thread: what comes soon belongs together. A mail has one: without it the subject must be the same. A form, a
# letter, a call, a visit is a request of its own; who adds to one quotes its reference, or the agent does.
DAYS: Mapping[str, int] = MappingProxyType(
    {"sms": 7, "whatsapp": 7, "email": 14, "web": 0, "post": 0, "phone": 0, "counter": 0}
)


@dataclass(slots=True)
class Conversation:
    """One row of `conversation`, locked while a batch works on it. `sequence` is the last one given."""

    id: UUID
    reference: str
    department: str
    sequence: int
    procedure: str | None
    opened_at: datetime
    last_contact_at: datetime
    closed_at: datetime | None = None
    linked_to: UUID | None = None
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One row of `decision`: written once, read again whenever its record comes again.

    `id` is the contact's, or follows from the transfer's, the split's, the link's. `value` is JSON: the routing, or the event that
    tells of the step; without personal data. `came` says of a contact what its routing does not (`decide/past.py`).
    """

    id: UUID
    kind: Kind
    conversation_id: UUID | None
    sequence: int | None
    opens: bool
    value: str
    decided_at: datetime
    came: str | None = None


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One row of `model`: where its bytes are, and in JSON what its training reported."""

    version: str
    blob: str
    sha256: str
    size_bytes: int
    report: str
    trained_at: datetime

    def values(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """One row of `waiting`: a record that is kept until its contact can be placed, and why it cannot yet.

    `number` is the order of arrival. `candidates` and `question` (the JSON of the reply that asks) belong to a question, `attempts`
    to trouble. Once placed, the row stays until Kafka has acknowledged what follows from it.
    """

    contact_id: UUID
    why: Literal["question", "trouble", "queued"]
    sender_hash: str | None
    channel: str
    topic: str
    partition: int
    offset: int
    key: bytes
    headers: str
    value: bytes
    waits_since: datetime
    candidates: tuple[UUID, ...] = ()
    question: str | None = None
    attempts: int = 0
    reason: str | None = None
    due_at: datetime | None = None
    asked_at: datetime | None = None
    placed_at: datetime | None = None
    number: int = 0
