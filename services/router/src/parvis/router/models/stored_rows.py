"""Describes the rows of the router's tables, as `migrations/` creates them. Data only."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

SCHEMA = "router"
Kind = Literal["contact", "transfer", "split", "opened", "linked", "unlinked", "refusal"]


@dataclass(frozen=True, slots=True)
class Conversation:
    """One row of `conversation`. `sequence` is the number of its last step."""

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
    """One row of `decision`: written once, read whenever its record is redelivered.

    `id` is the contact id, or derived from the request id. `value` is JSON without personal data: the
    routing, or the event of the step. `source`, the column `came`, stores the contact's channel, sender hash and original
    (`decide/conversation_history.py`).
    """

    id: UUID
    kind: Kind
    conversation_id: UUID | None
    sequence: int | None
    opens: bool
    value: str
    decided_at: datetime
    source: str | None = None


@dataclass(frozen=True, slots=True)
class TrainedModelRow:
    """One row of `model`: the claim check of its bytes, and its training report as JSON."""

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

    `number` is the order of arrival. `candidates` and `question` (the reply as JSON) are set for a question, `attempts`
    for retries. An assigned row (`placed_at`) stays until Kafka has acknowledged its records; until `claimed_until`
    only one router publishes them.
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
