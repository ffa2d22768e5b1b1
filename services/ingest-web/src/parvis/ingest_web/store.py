"""Submissions in and out of PostgreSQL: one row a one-time token, whatever is sent how often."""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.ingest_web.tables import submission


@dataclass(frozen=True)
class Submission:
    """What is remembered of a form that was sent; nothing personal."""

    seed: str
    contact_id: str
    reference: str
    procedure: str
    reply_channel: str | None
    content_hash: str
    received_at: datetime


async def record_submission(connection: AsyncConnection, row: Submission) -> Submission:
    """Keep the first submission of a token; give it, whether it is this one or an earlier.

    Waits for a transaction that is just recording the same token, and then finds its row.
    """
    adding = insert(submission).values(**asdict(row)).on_conflict_do_nothing().returning(submission.c.seed)
    if await connection.scalar(adding):
        return row
    earlier = await submission_of(connection, row.seed)
    return earlier or row


async def submission_of(connection: AsyncConnection, seed: str) -> Submission | None:
    found = await connection.execute(select(submission).where(submission.c.seed == seed))
    row = found.mappings().one_or_none()
    return Submission(**row) if row else None


async def submission_with_reference(connection: AsyncConnection, reference: str) -> Submission | None:
    query = select(submission).where(submission.c.reference == reference).order_by(submission.c.received_at).limit(1)
    row = (await connection.execute(query)).mappings().one_or_none()
    return Submission(**row) if row else None
