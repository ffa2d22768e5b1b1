"""Reads the views of a department's queue, page by page, and counts their cases up to a limit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, func, literal_column, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.desk.models.accounts import HiddenCases
from parvis.desk.models.case import QUEUE_PAGE_SIZE, URGENCY_RANKS, Agent
from parvis.desk.models.queue import (
    EVERY_CASE,
    MAX_COUNT,
    VIEWS,
    VIEWS_BY_CHANGE,
    QueueCursor,
    QueueFilter,
    QueuePage,
    QueueRow,
)
from parvis.desk.schema.case_tables import IS_NOT_CLOSED, case_file, transfer
from parvis.desk.store.hidden_cases import NOTHING_HIDDEN, is_shown
from parvis.desk.store.row_decoding import decode_readable_case
from parvis.desk.store.same_place import is_same_place

_TABLE = case_file.c
DUE_ORDER = (_TABLE.urgency, _TABLE.answer_due_at, _TABLE.received_at, _TABLE.conversation_id)
_CHANGE_ORDER = (_TABLE.changed_at, _TABLE.conversation_id)
_IS_AWAKE = or_(_TABLE.snoozed_until.is_(None), _TABLE.snoozed_until <= func.now())


@dataclass(frozen=True)
class QueueReader:
    """Reads the queue of one agent. `until` is the end of the day in the town, for what is due today."""

    agent: Agent
    until: datetime
    hidden: HiddenCases = NOTHING_HIDDEN

    def conditions(self, wanted: QueueFilter) -> list[ColumnElement[bool]]:
        """The predicate of a view: the same for its page, its count and its events."""
        found: list[ColumnElement[bool]] = [_TABLE.department == self.agent.department, *self._of_view(wanted.view)]
        found += is_shown(self.hidden)
        if wanted.tag:
            found.append(_TABLE.tags.contains([wanted.tag]))
        if wanted.channel:
            found.append(_TABLE.channel == wanted.channel)
        if wanted.procedure:
            found.append(_TABLE.procedure == wanted.procedure)
        if wanted.place:
            found += is_same_place(wanted.place, self.agent.department)
        return found

    def _of_view(self, view: str) -> list[ColumnElement[bool]]:
        is_open = _TABLE.state == "open"
        # A look-up for each urgency, not a scan of all that is open.
        is_due = [_TABLE.urgency.in_(URGENCY_RANKS.values()), _TABLE.answer_due_at < self.until]
        conditions: dict[str, list[ColumnElement[bool]]] = {
            "open": [is_open, _IS_AWAKE],
            "mine": [IS_NOT_CLOSED, _TABLE.taken_by == self.agent.name, _IS_AWAKE],
            "unassigned": [IS_NOT_CLOSED, _TABLE.taken_by.is_(None), is_open, _IS_AWAKE],
            "snoozed": [is_open, _TABLE.snoozed_until > func.now()],
            "undelivered": [IS_NOT_CLOSED, _TABLE.undelivered],
            "today": [is_open, *is_due],
            EVERY_CASE: [],
        }
        return conditions.get(view, [_TABLE.state == view])

    async def read(
        self,
        connection: AsyncConnection,
        wanted: QueueFilter,
        *,
        after: QueueCursor | None = None,
        limit: int = QUEUE_PAGE_SIZE,
    ) -> QueuePage:
        """One page of a view.

        Order: most urgent, then soonest due; waiting and closed ones by their last change, newest first.
        """
        leaving = select(transfer.c.transfer_id).where(
            transfer.c.conversation_id == _TABLE.conversation_id, transfer.c.outcome == "pending"
        )
        query = select(case_file, leaving.exists().label("is_leaving")).where(*self.conditions(wanted))
        query = query.order_by(*_order_of(wanted))
        if after and (beyond := is_beyond(wanted, after)) is not None:
            query = query.where(beyond)
        rows = (await connection.execute(query.limit(limit + 1))).mappings().all()
        sound, damaged = _decode(rows[:limit])
        following = cursor_of(rows[limit - 1], wanted) if len(rows) > limit else None
        return QueuePage(tuple(sound), following, damaged)

    async def count(self, connection: AsyncConnection, filters: Iterable[QueueFilter]) -> list[int]:
        """The number of cases in each view; one more than MAX_COUNT stands for any larger number."""
        capped = [self.capped_count(wanted).scalar_subquery() for wanted in filters]
        return list((await connection.execute(select(*capped))).one()) if capped else []

    def capped_count(self, wanted: QueueFilter) -> Select[int]:
        matching = select(literal_column("1")).where(*self.conditions(wanted)).limit(MAX_COUNT + 1)
        matching = matching.order_by(*_order_of(wanted))  # or the planner would rather begin to scan the table
        return select(func.count()).select_from(matching.subquery())

    async def count_views(self, connection: AsyncConnection) -> dict[str, int]:
        """The number of cases in each of the department's views."""
        return dict(zip(VIEWS, await self.count(connection, map(QueueFilter, VIEWS)), strict=True))

    async def read_page_ids(
        self,
        connection: AsyncConnection,
        wanted: QueueFilter,
        after: QueueCursor | None = None,
        until: QueueCursor | None = None,
    ) -> list[str]:
        """The conversations that stand on a page of the view now: after one cursor, not after the other."""
        query = select(_TABLE.conversation_id).where(*self.conditions(wanted)).order_by(*_order_of(wanted))
        if after and (beyond := is_beyond(wanted, after)) is not None:
            query = query.where(beyond)
        if until and (beyond := is_beyond(wanted, until)) is not None:
            query = query.where(~beyond)
        return list(await connection.scalars(query.limit(4 * QUEUE_PAGE_SIZE)))


def _order_of(wanted: QueueFilter) -> Sequence[ColumnElement[Any]]:
    return [column.desc() for column in _CHANGE_ORDER] if wanted.view in VIEWS_BY_CHANGE else DUE_ORDER


def is_beyond(wanted: QueueFilter, cursor: QueueCursor) -> ColumnElement[bool] | None:
    """Whether a case stands after a cursor. None if the cursor is one of another order."""
    if wanted.view in VIEWS_BY_CHANGE:
        return tuple_(*_CHANGE_ORDER) < cursor if len(cursor) == len(_CHANGE_ORDER) else None
    return tuple_(*DUE_ORDER) > cursor if len(cursor) == len(DUE_ORDER) else None


def cursor_of(row: RowMapping, wanted: QueueFilter) -> QueueCursor:
    if wanted.view in VIEWS_BY_CHANGE:
        return (row["changed_at"], row["conversation_id"])
    return (row["urgency"], row["answer_due_at"], row["received_at"], row["conversation_id"])


def _decode(rows: Sequence[RowMapping]) -> tuple[list[QueueRow], dict[str, str]]:
    """The rows, and the references of those that cannot be read, by conversation."""
    sound: list[QueueRow] = []
    damaged: dict[str, str] = {}
    for row in rows:
        case = decode_readable_case({name: value for name, value in row.items() if name != "is_leaving"})
        if case:
            sound.append(QueueRow(case, row["is_leaving"]))
        else:
            damaged[row["conversation_id"]] = row["reference"]
    return sound, damaged
