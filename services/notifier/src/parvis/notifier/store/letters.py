"""Stores the letters for the print shop and their batches, so that each letter leaves once."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.storage.postgres import Database
from parvis.notifier import schema
from parvis.notifier.models.letter import ManifestLetter, UnbatchedLetters

_l, _b = schema.letter.c, schema.batch.c
_LOCK = 7_201_944_318  # one process makes batches at a time


async def lock_batches(connection: AsyncConnection) -> bool:
    """Take the lock on making batches until the end of the transaction; False if another process has it."""
    return bool(await connection.scalar(text("select pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}))


async def written_file_name(connection: AsyncConnection, delivery_id: str) -> str | None:
    """The file name of a delivery's letter, even after it has left; None if it was not written yet."""
    return await connection.scalar(select(_l.file_name).where(_l.delivery_id == delivery_id))


async def record_letter(connection: AsyncConnection, letter: ManifestLetter) -> None:
    """Register a letter for good. Idempotent."""
    await connection.execute(insert(schema.letter).values(asdict(letter)).on_conflict_do_nothing())


async def unbatched_letters(connection: AsyncConnection) -> UnbatchedLetters:
    """The number of letters without a batch, and the time of the oldest."""
    waiting = select(func.count().label("count"), func.min(_l.written_at).label("since")).where(_l.batch.is_(None))
    return UnbatchedLetters(**(await connection.execute(waiting)).mappings().one())


async def make_batch(connection: AsyncConnection, name: str, now: datetime, most: int) -> None:
    """Assign letters without a batch to a new one, oldest first, at most `most`."""
    await connection.execute(insert(schema.batch).values(name=name, made_at=now))
    chosen = select(_l.delivery_id).where(_l.batch.is_(None)).order_by(_l.written_at, _l.delivery_id).limit(most)
    await connection.execute(update(schema.letter).where(_l.delivery_id.in_(chosen)).values(batch=name))


async def open_batches(connection: AsyncConnection) -> list[tuple[str, datetime]]:
    """Name and time of the batches that are not closed, oldest first."""
    statement = select(_b.name, _b.made_at).where(_b.closed_at.is_(None)).order_by(_b.made_at, _b.name)
    return [(row.name, row.made_at) for row in (await connection.execute(statement)).all()]


async def letters_of(connection: AsyncConnection, batch: str) -> list[ManifestLetter]:
    columns = [column for column in _l if column.name != "batch"]
    statement = select(*columns).where(_l.batch == batch).order_by(_l.written_at, _l.delivery_id)
    return [ManifestLetter(**row) for row in (await connection.execute(statement)).mappings()]


async def delivery_ids_of(connection: AsyncConnection, batch: str) -> Sequence[str]:
    return (await connection.scalars(select(_l.delivery_id).where(_l.batch == batch))).all()


async def close_batch(connection: AsyncConnection, name: str, now: datetime) -> None:
    await connection.execute(update(schema.batch).where(_b.name == name).values(closed_at=now))


async def dissolve_batch(connection: AsyncConnection, name: str, now: datetime) -> None:
    """Close a batch that can never be made, and release its letters for another one."""
    await connection.execute(update(schema.letter).where(_l.batch == name).values(batch=None))
    await close_batch(connection, name, now)


async def batch_names(connection: AsyncConnection, beginning: str) -> Sequence[str]:
    """The names of the batches of one day, given by their common beginning."""
    return (await connection.scalars(select(_b.name).where(_b.name.startswith(beginning, autoescape=True)))).all()


@dataclass(frozen=True)
class StoredLetterRegister:
    """The register of letters in PostgreSQL, each look-up a transaction of its own."""

    database: Database

    async def find_file_name(self, delivery_id: str) -> str | None:
        async with self.database.transaction() as connection:
            return await written_file_name(connection, delivery_id)

    async def record(self, letter: ManifestLetter) -> None:
        async with self.database.transaction() as connection:
            await record_letter(connection, letter)
