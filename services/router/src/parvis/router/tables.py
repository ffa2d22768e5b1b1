"""The rows of the router, as `migrations/` creates them. Data only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

SCHEMA = "router"


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
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One row of `decision`: written once, read again whenever its record comes again.

    `id` is the contact's, or follows from the transfer's. `value` is JSON: the routing, `conversation.left` or
    `transfer.refused`; without personal data.
    """

    id: UUID
    kind: Literal["contact", "transfer", "refusal"]
    conversation_id: UUID | None
    sequence: int | None
    opens: bool
    value: str
    decided_at: datetime
