"""Stores the requested replies, and reads them back."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import encode_event
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.logs import logger

log = logger()

# Arrays instead of a parameter row each: the same statement for any number of rows, so it is parsed once.
_NEW = text(
    """
    insert into notifier.reply (reply_id, conversation_id, kind, request, recorded_at)
    select reply_id, conversation_id, kind, request::json, :recorded_at
    from unnest(cast(:ids as text[]), cast(:conversations as text[]), cast(:kinds as text[]), cast(:requests as text[]))
        as new (reply_id, conversation_id, kind, request)
    on conflict do nothing returning reply_id
    """
)
_BY_ID = text("select reply_id, request::text as request from notifier.reply where reply_id = any(:ids)")
_EARLIER = text(
    """
    select distinct on (conversation_id) conversation_id, reply_id, request::text as request from notifier.reply
    where conversation_id = any(:conversations)
    and coalesce(request ->> 'to_other_person', 'false') = 'false'
    and (request -> 'personal' ->> 'contact_points' <> '[]' or request -> 'personal' ->> 'stated' <> '[]')
    order by conversation_id, recorded_at desc
    """
)


async def record_replies(connection: AsyncConnection, replies: Sequence[ReplyRequested], now: datetime) -> set[str]:
    """Store replies; gives the ids of the new ones. Idempotent."""
    if not replies:
        return set()
    values = {
        "ids": [reply.reply_id for reply in replies],
        "conversations": [reply.conversation_id for reply in replies],
        "kinds": [reply.kind for reply in replies],
        "requests": [encode_event(reply).decode() for reply in replies],
        "recorded_at": now,
    }
    return set((await connection.scalars(_NEW, values)).all())


async def replies_of(connection: AsyncConnection, ids: Collection[str]) -> dict[str, ReplyRequested]:
    """Replies by id; one that cannot be read is left out and logged as an error."""
    rows = (await connection.execute(_BY_ID, {"ids": list(set(ids))})).all()
    replies = {row.reply_id: read_reply(row.reply_id, row.request) for row in rows}
    return {reply_id: reply for reply_id, reply in replies.items() if reply}


async def earlier_replies(connection: AsyncConnection, conversations: Collection[str]) -> dict[str, ReplyRequested]:
    """The newest reply to the addressee, by conversation; a notice to another person who joined it does not count."""
    if not conversations:
        return {}
    rows = (await connection.execute(_EARLIER, {"conversations": list(conversations)})).all()
    replies = {row.conversation_id: read_reply(row.reply_id, row.request) for row in rows}
    return {conversation: reply for conversation, reply in replies.items() if reply}


def read_reply(reply_id: str, request: str) -> ReplyRequested | None:
    """Read a stored request; None if it cannot be read, which is logged as an error."""
    try:
        return ReplyRequested.model_validate_json(request)
    except ValueError:
        log.exception("stored-reply.unreadable", reply_id=reply_id)
        return None
