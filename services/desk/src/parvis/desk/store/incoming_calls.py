"""Stores the calls that the telephone system reports, for an hour."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.runtime.clock import now
from parvis.common.storage.postgres import Database
from parvis.desk.schema.case_tables import incoming_call

SHOWN_FOR = timedelta(minutes=15)
MAX_SHOWN = 5
_KEPT_FOR = timedelta(hours=1)
_c = incoming_call.c


@dataclass(frozen=True)
class IncomingCall:
    """A call that rings or has rung in a department."""

    call_id: str
    department: str
    number: str
    at: datetime


async def record_call(database: Database, call: IncomingCall) -> None:
    """Store a call. Retry: the same id is one call."""
    async with database.transaction() as connection:
        await connection.execute(insert(incoming_call).values(call.__dict__).on_conflict_do_nothing())


async def read_latest_calls(connection: AsyncConnection, department: str, at: datetime) -> list[IncomingCall]:
    """The department's latest calls, newest first."""
    query = select(incoming_call).where(_c.department == department, _c.at > at - SHOWN_FOR)
    rows = await connection.execute(query.order_by(_c.at.desc()).limit(MAX_SHOWN))
    return [IncomingCall(**row) for row in rows.mappings()]


async def purge_calls(database: Database) -> None:
    """Delete the numbers of calls an hour after they rang."""
    async with database.transaction() as connection:
        await connection.execute(delete(incoming_call).where(_c.at < now() - _KEPT_FOR))
