"""Builds the timeline of a case from its records, in the order of their sequence numbers. Pure; no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import TypeAlias

from parvis.common.contract.routing.conversation_history import PastContact
from parvis.desk.models.case import (
    AgentReply,
    CaseActionRecord,
    CaseContact,
    CaseFile,
    CaseRelation,
    DeliveryStatus,
    DepartmentMove,
    TransferRecord,
)

PAGE_SIZE = 50  # entries

TimelineItem: TypeAlias = (
    CaseContact
    | DepartmentMove
    | CaseRelation
    | AgentReply
    | TransferRecord
    | CaseActionRecord
    | DeliveryStatus
    | PastContact
)


@dataclass(frozen=True)
class TimelineEntry:
    """One entry of the timeline; `deliveries` belong to a reply."""

    kind: str
    at: datetime
    item: TimelineItem
    deliveries: tuple[DeliveryStatus, ...] = ()
    is_new: bool = False  # came after the agent opened the page


@dataclass(frozen=True)
class TimelinePage:
    """The part of a timeline that one page shows. `older`, `newer`: where those pages end; None if there is none."""

    entries: Sequence[TimelineEntry]
    older: int | None
    newer: int | None


def cut_page(entries: Sequence[TimelineEntry], until: int | None = None) -> TimelinePage:
    """The entries before the position `until`, the newest without it. Positions count from the oldest, so that new entries move nothing."""
    end = len(entries) if until is None else min(max(until, 1), len(entries))
    start = max(end - PAGE_SIZE, 0)
    newer = None if end == len(entries) else min(end + PAGE_SIZE, len(entries))
    return TimelinePage(entries[start:end], start or None, newer)


def build_timeline(file: CaseFile, past: Sequence[PastContact] = ()) -> list[TimelineEntry]:
    """Build the timeline, oldest first. Contacts, transfers, splits and links are in sequence order, even if clocks differ.

    Shape:  past, the contacts of a history that never reached this desk.
    """
    entries = _numbered(file)
    own_reply_ids = {reply.reply_id for reply in file.replies}
    for reply in file.replies:
        if reply.withdrawn_at:
            continue  # the act that withdrew it has its text
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
    """The entries with a sequence number, in its order. Their times never decrease, so that sorting by time keeps that order.

    Contacts that a split brought have the split's number and come before it.
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
