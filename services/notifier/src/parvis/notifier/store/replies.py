"""Replies as they were asked for."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.reply import ReplyRequested
from parvis.notifier import tables


async def record_replies(connection: AsyncConnection, replies: Sequence[ReplyRequested], now: datetime) -> set[str]:
    """Keep replies; give the ids of those that are new."""
    if not replies:
        return set()
    rows = [
        {
            "reply_id": reply.reply_id,
            "conversation_id": reply.conversation_id,
            "kind": reply.kind,
            "request": reply.model_dump(mode="json", by_alias=True),
            "recorded_at": now,
        }
        for reply in replies
    ]
    new = insert(tables.reply).values(rows).on_conflict_do_nothing().returning(tables.reply.c.reply_id)
    return set((await connection.scalars(new)).all())


async def replies_of(connection: AsyncConnection, ids: Collection[str]) -> dict[str, ReplyRequested]:
    """Replies by their ids."""
    found = select(tables.reply.c.reply_id, tables.reply.c.request).where(tables.reply.c.reply_id.in_(set(ids)))
    return {row.reply_id: ReplyRequested.model_validate(row.request) for row in (await connection.execute(found)).all()}
