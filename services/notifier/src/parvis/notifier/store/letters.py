"""Letters that were written for the print shop, and the batches in which they went: what makes each of them leave once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.notifier import schema
from parvis.notifier.models.letter import Letter, Waiting

_l, _b = schema.letter.c, schema.batch.c
_LOCK = 7_201_944_318  # one process makes batches at a time


async def lock_batches(connection: AsyncConnection) -> bool:
    """Hold the making of batches until the end of the transaction; False when another process does."""
    return bool(await connection.scalar(text("select pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}))


async def was_written(connection: AsyncConnection, delivery_id: str) -> str | None:
    """The file that a delivery's letter is, or was until the print shop took it; none before it was written."""
    return await connection.scalar(select(_l.file_name).where(_l.delivery_id == delivery_id))


async def record_letter(connection: AsyncConnection, letter: Letter) -> None:
    """Remember a letter for good; a second time is the same letter."""
    row = {
        "delivery_id": letter.delivery_id,
        "file_name": letter.file_name,
        "sha256": letter.sha256,
        "size_bytes": letter.size_bytes,
        "pages": letter.pages,
        "country": letter.country,
        "reference": letter.reference,
        "written_at": letter.written_at,
    }
    await connection.execute(insert(schema.letter).values(row).on_conflict_do_nothing())


async def waiting(connection: AsyncConnection) -> Waiting:
    """How many letters wait for a batch, and since when the oldest does."""
    row = (await connection.execute(select(func.count(), func.min(_l.written_at)).where(_l.batch.is_(None)))).one()
    return Waiting(row[0], row[1])


async def make_batch(connection: AsyncConnection, name: str, now: datetime, most: int) -> None:
    """Put the letters that wait into a batch, the oldest first."""
    await connection.execute(insert(schema.batch).values(name=name, made_at=now))
    chosen = select(_l.delivery_id).where(_l.batch.is_(None)).order_by(_l.written_at, _l.delivery_id).limit(most)
    await connection.execute(update(schema.letter).where(_l.delivery_id.in_(chosen)).values(batch=name))


async def open_batches(connection: AsyncConnection) -> list[tuple[str, datetime]]:
    """Batches whose folder is not known to be there, oldest first."""
    found = select(_b.name, _b.made_at).where(_b.closed_at.is_(None)).order_by(_b.made_at, _b.name)
    return [(row.name, row.made_at) for row in (await connection.execute(found)).all()]


async def letters_of(connection: AsyncConnection, batch: str) -> list[Letter]:
    found = select(schema.letter).where(_l.batch == batch).order_by(_l.written_at, _l.delivery_id)
    return [_letter(row) for row in (await connection.execute(found)).all()]


async def close_batch(connection: AsyncConnection, name: str, now: datetime) -> None:
    await connection.execute(update(schema.batch).where(_b.name == name).values(closed_at=now))


async def batch_names(connection: AsyncConnection, beginning: str) -> Sequence[str]:
    """The batches of one day."""
    return (await connection.scalars(select(_b.name).where(_b.name.startswith(beginning, autoescape=True)))).all()


def _letter(row: Row[Any]) -> Letter:
    return Letter(
        delivery_id=row.delivery_id,
        file_name=row.file_name,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        pages=row.pages,
        country=row.country,
        reference=row.reference,
        written_at=row.written_at,
    )
