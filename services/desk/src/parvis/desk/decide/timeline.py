"""Builds the timeline of a case from its records, in the order of their sequence numbers. Pure; no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import TypeAlias

from parvis.common.contract.routing.history import PastContact
from parvis.desk.models.case import (
    AgentReply,
    CaseAction,
    CaseContact,
    CaseFile,
    CaseRelation,
    DeliveryStatus,
    DepartmentMove,
    TransferRecord,
)

TimelineItem: TypeAlias = (
    CaseContact
    | DepartmentMove
    | CaseRelation
    | AgentReply
    | TransferRecord
    | CaseAction
    | DeliveryStatus
    | PastContact
)


@dataclass(frozen=True)
class TimelineEntry:
    """One thing that happened: `kind` names it, `deliveries` are those of a reply."""

    kind: str
    at: datetime
    item: TimelineItem
    deliveries: tuple[DeliveryStatus, ...] = ()


def build_timeline(file: CaseFile, past: Sequence[PastContact] = ()) -> list[TimelineEntry]:
    """Oldest first. Contacts, moves and steps stand in the order of their sequence, whatever their clocks say.

    `past`, what a history tells of contacts that never came to this desk.
    """
    entries = _numbered(file)
    own_reply_ids = {reply.reply_id for reply in file.replies}
    for reply in file.replies:
        entries.append(
            TimelineEntry("reply", reply.at, reply, tuple(d for d in file.deliveries if d.reply_id == reply.reply_id))
        )
    entries += [TimelineEntry("notice", d.at, d) for d in file.deliveries if d.reply_id not in own_reply_ids]
    entries += [TimelineEntry("transfer", t.at, t) for t in file.transfers if t.outcome != "done"]
    entries += [TimelineEntry("act", act.at, act) for act in file.actions]
    contact_ids = {opened.contact.contact_id for opened in file.contacts}
    entries += [
        TimelineEntry("past", contact.received_at, contact) for contact in past if contact.contact_id not in contact_ids
    ]
    return sorted(entries, key=lambda entry: entry.at)


def _numbered(file: CaseFile) -> list[TimelineEntry]:
    """By sequence; an instant never goes back along it, so that sorting by time keeps the order.

    What a split brought has the number of the split, and comes before it.
    """
    numbered: Sequence[tuple[int, datetime, str, CaseContact | DepartmentMove | CaseRelation]] = sorted(
        [
            *((o.number, o.routing.decided_at, "contact", o) for o in file.contacts),
            *((m.sequence, m.at, "move", m) for m in file.moves),
            *((s.sequence, s.at, "step", s) for s in file.relations),
        ],
        key=itemgetter(0, 1),
    )
    entries: list[TimelineEntry] = []
    for _, at, kind, item in numbered:
        entries.append(TimelineEntry(kind, max(at, entries[-1].at) if entries else at, item))
    return entries
