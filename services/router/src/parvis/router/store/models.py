"""Trained models, and which of them decides, in and out of PostgreSQL; whoever calls owns the transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.router.models.stored_rows import ModelRow

_ADD = text("""
    insert into router.model (version, blob, sha256, size_bytes, report, trained_at)
    values (:version, :blob, :sha256, :size_bytes, :report, :trained_at) on conflict do nothing
""")

_MODELS = text(
    "select version, blob, sha256, size_bytes, report, trained_at from router.model order by trained_at, version"
)

_ACTIVE = text("""
    select m.version, m.blob, m.sha256, m.size_bytes, m.report, m.trained_at
    from (select version from router.activation order by id desc limit 1) a join router.model m using (version)
""")

_ACTIVATE = text("insert into router.activation (version, at) values (:version, :at)")

# The one before the last that was another one.
_BEFORE = text("""
    with latest as (select version from router.activation order by id desc limit 1)
    select a.version from router.activation a, latest
    where a.version is distinct from latest.version order by a.id desc limit 1
""")

# What people moved, by the first contact of each conversation: where it ended up is where it belonged.
_MOVED = text("""
    select d.id, c.department from router.decision d join router.conversation c on c.id = d.conversation_id
    where d.kind = 'contact' and d.opens and d.decided_at >= :since
    and exists (select 1 from router.decision t where t.conversation_id = d.conversation_id and t.kind = 'transfer')
""")


async def add_model(connection: AsyncConnection, row: ModelRow) -> None:
    """Keep a model; the same one twice is one."""
    await connection.execute(_ADD, row.values())


async def models(connection: AsyncConnection) -> Sequence[ModelRow]:
    """All of them, the oldest first."""
    return [ModelRow(*row) for row in await connection.execute(_MODELS)]


async def active_model(connection: AsyncConnection) -> ModelRow | None:
    """The one that decides; none when the last word was to do without."""
    row = (await connection.execute(_ACTIVE)).one_or_none()
    return ModelRow(*row) if row else None


async def activate(connection: AsyncConnection, version: str | None, at: datetime) -> None:
    """From now on this one decides, or none."""
    await connection.execute(_ACTIVATE, {"version": version, "at": at})


async def model_before(connection: AsyncConnection) -> tuple[str | None] | None:
    """What decided before what decides now: a version, or none at all; no answer when nothing ever did."""
    row = (await connection.execute(_BEFORE)).one_or_none()
    if row:
        return (row.version,)
    return (None,) if await active_model(connection) else None


async def moved_by_people(connection: AsyncConnection, since: datetime) -> dict[UUID, str]:
    """The first contact of every conversation that was transferred, and the department that it has now."""
    rows = await connection.execute(_MOVED, {"since": since})
    return {row.id: row.department for row in rows}
