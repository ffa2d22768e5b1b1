"""Models the list of the whole town's cases: where each stands, and nothing of what it says. Data only."""

from dataclasses import dataclass, field
from datetime import date, datetime

from parvis.desk.models.case import State


@dataclass(frozen=True)
class TownFilter:
    """The cases in one state, narrowed to a department, or to the day on which they came."""

    state: State = "open"
    department: str = ""
    day: date | None = None


@dataclass(frozen=True)
class TownCase:
    """Where a case stands. `procedure` and `tags` say who may read it, and are shown to nobody."""

    conversation_id: str
    reference: str
    department: str
    state: State
    channel: str
    received_at: datetime
    answer_due_at: datetime
    is_taken: bool
    procedure: str | None = None
    tags: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class TownPage:
    cases: tuple[TownCase, ...]
    after: tuple[datetime, str] | None  # the cursor of the next page
