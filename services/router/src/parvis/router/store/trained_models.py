"""Stores trained models and their activations in PostgreSQL; the caller owns the transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.router.models.stored_rows import TrainedModelRow

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

# The last activation that differs from the current one.
_BEFORE = text("""
    with latest as (select version from router.activation order by id desc limit 1)
    select a.version from router.activation a, latest
    where a.version is distinct from latest.version order by a.id desc limit 1
""")

# The final department of a transferred conversation is the right label for its first contact.
_MOVED = text("""
    select d.id, c.department from router.decision d join router.conversation c on c.id = d.conversation_id
    where d.kind = 'contact' and d.opens and d.decided_at >= :since
    and exists (select 1 from router.decision t where t.conversation_id = d.conversation_id and t.kind = 'transfer')
""")


async def insert_model(connection: AsyncConnection, row: TrainedModelRow) -> None:
    """Store a model. Idempotent."""
    await connection.execute(_ADD, row.values())


async def list_models(connection: AsyncConnection) -> Sequence[TrainedModelRow]:
    """All models, the oldest first."""
    return [TrainedModelRow(**row) for row in (await connection.execute(_MODELS)).mappings()]


async def find_active_model(connection: AsyncConnection) -> TrainedModelRow | None:
    """The model activated last; None if none was, or if the last activation was to use no model."""
    row = (await connection.execute(_ACTIVE)).mappings().one_or_none()
    return TrainedModelRow(**row) if row else None


async def record_activation(connection: AsyncConnection, version: str | None, at: datetime) -> None:
    """Record that this model decides from now on; with None, that no model does."""
    await connection.execute(_ACTIVATE, {"version": version, "at": at})


async def find_previous_model(connection: AsyncConnection) -> tuple[str | None] | None:
    """The model active before the current one: (version,); (None,) if there was none; None if no model is active."""
    row = (await connection.execute(_BEFORE)).one_or_none()
    if row:
        return (row.version,)
    return (None,) if await find_active_model(connection) else None


async def find_transferred_contacts(connection: AsyncConnection, since: datetime) -> dict[UUID, str]:
    """The first contact of each conversation that people transferred, with the department it has now."""
    rows = await connection.execute(_MOVED, {"since": since})
    return {row.id: row.department for row in rows}
