"""The rows of the router, as `migrations/` creates them. Data only."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

SCHEMA = "router"
Kind = Literal["contact", "transfer", "split", "opened", "linked", "unlinked", "refusal"]


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
