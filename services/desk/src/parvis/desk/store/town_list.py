"""Reads where the cases of the whole town stand, page by page, without a word of what they say."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import ColumnElement, Date, DateTime, Text, and_, cast, func, literal, or_, select, tuple_
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.desk.models.accounts import HiddenCases
from parvis.desk.models.case import QUEUE_PAGE_SIZE
from parvis.desk.models.town_list import TownCase, TownFilter, TownPage
from parvis.desk.schema.case_tables import case_file
from parvis.desk.store.hidden_cases import is_shown

_c = case_file.c
_COLUMNS = (
    _c.conversation_id, _c.reference, _c.department, _c.state, _c.channel, _c.received_at, _c.answer_due_at,
    _c.taken_by.is_not(None).label("is_taken"), _c.procedure, func.coalesce(_c.tags, array([], type_=Text)).label("tags"),
)  # fmt: skip


async def read_town_page(
    connection: AsyncConnection,
    wanted: TownFilter,
    hidden: Mapping[HiddenCases, Sequence[str]],
    *,
    after: tuple[datetime, str] | None = None,
    limit: int = QUEUE_PAGE_SIZE,
    zone: str = "UTC",
) -> TownPage:
    """One page, the latest first.

    Shape:  hidden, the departments by what their lists leave out for the reader; other departments are left out;
            zone, in which a day begins.
    """
    shown = [and_(_c.department.in_(list(slugs)), *is_shown(left_out)) for left_out, slugs in hidden.items()]
    query = select(*_COLUMNS).where(_c.state == wanted.state, or_(*shown))
    if wanted.department:
        query = query.where(_c.department == wanted.department)
    if wanted.day:
        query = query.where(
            _c.received_at >= _midnight(wanted.day, 0, zone), _c.received_at < _midnight(wanted.day, 1, zone)
        )
    order = (_c.received_at, _c.conversation_id)
    if after:
        query = query.where(tuple_(*order) < after)
    query = query.order_by(*(column.desc() for column in order)).limit(limit + 1)
    rows = (await connection.execute(query)).mappings().all()
    cases = tuple(TownCase(**row) for row in rows[:limit])
    return TownPage(cases, (cases[-1].received_at, cases[-1].conversation_id) if len(rows) > limit else None)


def _midnight(day: date, later: int, zone: str) -> ColumnElement[datetime]:
    """When a day begins in the town, or the one so much later. PostgreSQL knows every day that a date can name."""
    begins = cast(literal(day, Date).op("+")(literal(later)), DateTime)
    return func.timezone(zone, begins)
