"""Finds the open cases that report the same place within a month: the same house number, or points within fifty metres."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.desk.models.accounts import HiddenCases
from parvis.desk.schema.case_tables import IS_NOT_CLOSED, case_file
from parvis.desk.store.hidden_cases import is_shown

_NEAR_IN_TIME = timedelta(days=30)
_NEAR_M = 50.0
_METRES_PER_DEGREE = 111_320.0  # of latitude; of longitude at the equator
_c = case_file.c
_this = case_file.alias("this")


def is_same_place(conversation: str, department: str) -> list[ColumnElement[bool]]:
    """The conditions on `case_file` of the cases that report what this case of the department reports, itself included."""

    def of_this(column: Column[Any]) -> ColumnElement[Any]:
        one = (_this.c.conversation_id == conversation, _this.c.department == department)
        return select(column).where(*one).scalar_subquery()

    return _alike(of_this)


async def count_same_place(
    connection: AsyncConnection, conversations: Iterable[str], hidden: HiddenCases
) -> dict[str, int]:
    """The number of open reports of the place of each of these cases, where there are several, by conversation."""
    number = func.count()
    together = and_(_c.department == _this.c.department, *_alike(lambda column: column))
    query = (
        select(_this.c.conversation_id, number)
        .join_from(_this, case_file, together)
        .where(_this.c.conversation_id.in_(list(conversations)), _c.state == "open", *is_shown(hidden))
        .group_by(_this.c.conversation_id)
        .having(number > 1)
    )
    return {row[0]: row[1] for row in await connection.execute(query)}


def _alike(of_this: Callable[[Column[Any]], ColumnElement[Any]]) -> list[ColumnElement[bool]]:
    received_at = of_this(_this.c.received_at)
    return [
        or_(_c.place == of_this(_this.c.place), _is_near(of_this(_this.c.latitude), of_this(_this.c.longitude))),
        IS_NOT_CLOSED,
        _c.received_at.between(received_at - _NEAR_IN_TIME, received_at + _NEAR_IN_TIME),
    ]


def _is_near(latitude: ColumnElement[float], longitude: ColumnElement[float]) -> ColumnElement[bool]:
    """Within fifty metres, on a plane: the curvature of the Earth matters only beyond."""
    degrees = _NEAR_M / _METRES_PER_DEGREE
    north = _c.latitude - latitude
    east = (_c.longitude - longitude) * func.cos(func.radians(latitude))
    within = north * north + east * east <= degrees * degrees
    return and_(_c.latitude.between(latitude - degrees, latitude + degrees), within)
