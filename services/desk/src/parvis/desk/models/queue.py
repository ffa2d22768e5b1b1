"""Models what an agent looks at: a view of the queue, narrowed by filters. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode

from parvis.desk.models.case import Case

VIEWS = ("open", "mine", "unassigned", "snoozed", "waiting", "undelivered", "today", "closed")
EVERY_CASE = "every"  # of an export; no list shows it
VIEWS_BY_CHANGE = frozenset({"waiting", "closed"})  # newest change first; all others by urgency and due date
MAX_COUNT = 1000  # more are shown as « 1 000+ »

# (urgency, due, received, id) for views by due date, (changed, id) for waiting and closed cases.
QueueCursor = tuple[int, datetime, datetime, str] | tuple[datetime, str]


@dataclass(frozen=True)
class QueueFilter:
    """The cases that an agent looks at: one view, and what it is narrowed to."""

    view: str = "open"
    tag: str = ""
    channel: str = ""
    procedure: str = ""
    place: str = ""  # a conversation: the cases that report the same place

    @property
    def chosen(self) -> dict[str, str]:
        """The filters that are set, by name."""
        return {name: value for name, value in vars(self).items() if value and name != "view"}

    def url(self, **changes: str) -> str:
        """The address of the queue with this filter, changed as stated; an empty value removes one."""
        values = {"show": self.view} | self.chosen | {n.replace("view", "show"): v for n, v in changes.items()}
        return f"/queue?{urlencode({name: value for name, value in values.items() if value})}"


@dataclass(frozen=True)
class QueueRow:
    case: Case
    is_leaving: bool  # a transfer was requested and is not decided yet


@dataclass(frozen=True)
class QueuePage:
    """One page of a queue.

    Gives: after, the cursor of the next page, None at the end; damaged, the references of cases that cannot be shown, by conversation.
    """

    rows: tuple[QueueRow, ...]
    after: QueueCursor | None
    damaged: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class SavedView:
    """A filter that an agent saved under a name."""

    name: str
    query: str
