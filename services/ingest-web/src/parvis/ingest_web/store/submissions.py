"""Reads and writes submissions in PostgreSQL: one row per one-time token."""

import asyncio
from dataclasses import asdict

from sqlalchemy import Column, DateTime, Table, Text, func, select
from sqlalchemy.dialects.postgresql import UUID, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.storage.outbox import outbox_table
from parvis.common.storage.postgres import Database, schema_metadata
from parvis.ingest_web.models.form import AcceptedForm

METADATA = schema_metadata("ingest_web")

outbox = outbox_table(METADATA)
submission = Table(
    "submission",
    METADATA,
    Column("seed", UUID(as_uuid=False), primary_key=True),
    Column("contact_id", UUID(as_uuid=False), nullable=False),
    Column("reference", Text, nullable=False),
    Column("procedure", Text, nullable=False),
    Column("reply_channel", Text),
    Column("content_hash", Text, nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
)


async def insert_submission(connection: AsyncConnection, row: AcceptedForm) -> AcceptedForm:
    """Insert the submission unless its token has one already. Gives the stored one.

    Waits for a concurrent transaction with the same token, and then gives its row.
    """
    adding = insert(submission).values(**asdict(row)).on_conflict_do_nothing().returning(submission.c.seed)
    if await connection.scalar(adding):
        return row
    earlier = await read_submission(connection, row.seed)
    return earlier or row


async def read_submission(connection: AsyncConnection, seed: str) -> AcceptedForm | None:
    result = await connection.execute(select(submission).where(submission.c.seed == seed))
    row = result.mappings().one_or_none()
    return AcceptedForm(**row) if row else None


async def find_submission(connection: AsyncConnection, reference: str) -> AcceptedForm | None:
    query = select(submission).where(submission.c.reference == reference).order_by(submission.c.received_at).limit(1)
    row = (await connection.execute(query)).mappings().one_or_none()
    return AcceptedForm(**row) if row else None


async def lock_key(connection: AsyncConnection, key: str) -> bool:
    """Lock a key until the transaction ends. False if another transaction has locked it."""
    return bool(await connection.scalar(select(func.pg_try_advisory_xact_lock(func.hashtextextended(key, 0)))))


async def check_database(database: Database) -> None:
    """Raise Unavailable when PostgreSQL does not answer, or our tables do not exist yet."""
    async with asyncio.timeout(5), database.transaction() as connection:
        await connection.execute(select(submission.c.seed).limit(0))
