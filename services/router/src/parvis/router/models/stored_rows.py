"""Describes the rows of the router's tables, as `migrations/` creates them. Data only."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

SCHEMA = "router"
Kind = Literal["contact", "transfer", "split", "opened", "linked", "unlinked", "refusal"]


@dataclass(frozen=True, slots=True)
class Conversation:
    """One row of `conversation`. `sequence` is the number of its last step; each step makes a new value."""

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

    `id` is the contact's, or derived from that of the transfer, split or link. `value` is JSON without personal data: the
    routing, or the event of the step. `came` holds what a routing does not say of its contact (`decide/conversation_history.py`).
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
    """One row of `waiting`: the record of a contact that cannot be assigned yet, and why.

    `number` is the order of arrival. `candidates` and `question` (the JSON of the reply that asks) belong to a question, `attempts`
    to trouble. Once assigned (`placed_at`), the row stays until Kafka has acknowledged the records that follow from it; `claimed_until`
    is the time until which one router alone publishes them.
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
    claimed_until: datetime | None = None
    number: int = 0
