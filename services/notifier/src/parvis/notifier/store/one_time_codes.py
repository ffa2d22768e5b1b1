"""Stores one-time codes, as keyed hashes only, and counts how often each is asked for and tried."""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.notifier import schema

_c = schema.code.c
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
CODES_AN_HOUR, CODES_A_DAY = 3, 6  # of one reply, and to one address
TRIES = 5  # at one code: with six codes a day, one guess in 33,000 succeeds


@dataclass(frozen=True)
class OneTimeCode:
    """A code that was sent, as its keyed hash."""

    reply_id: str
    address_hash: str
    digest: str
    asked_at: datetime
    expires_at: datetime


async def record_code(connection: AsyncConnection, code: OneTimeCode) -> bool:
    """Record a code that is about to be sent; False when this reply, or this address, has reached its limit.

    Order: the caller holds the lock of the address, and the one of the reply is taken here: two requests are counted one by one.
    """
    await connection.execute(
        select(schema.reply.c.reply_id).where(schema.reply.c.reply_id == code.reply_id).with_for_update()
    )
    for column, value in ((_c.reply_id, code.reply_id), (_c.address_hash, code.address_hash)):
        lately = func.count().filter(_c.asked_at > code.asked_at - _HOUR)
        counts = select(func.count(), lately).where(column == value, _c.asked_at > code.asked_at - _DAY)
        today, this_hour = (await connection.execute(counts)).one()
        if today >= CODES_A_DAY or this_hour >= CODES_AN_HOUR:
            return False
    row = {
        "reply_id": code.reply_id,
        "address_hash": code.address_hash,
        "digest": code.digest,
        "asked_at": code.asked_at,
        "expires_at": code.expires_at,
    }
    await connection.execute(insert(schema.code).values(row))
    return True


async def use_code(connection: AsyncConnection, reply_id: str, digest: str, now: datetime) -> bool:
    """Try a code at the newest one that was sent for a reply: each try is counted, whatever comes of it."""
    newest = select(_c.id).where(_c.reply_id == reply_id).order_by(_c.id.desc()).limit(1).scalar_subquery()
    tried = (
        update(schema.code)
        .where(_c.id == newest, _c.tries < TRIES, _c.used_at.is_(None), _c.expires_at > now)
        .values(tries=_c.tries + 1)
        .returning(_c.id, _c.digest)
    )
    row = (await connection.execute(tried)).one_or_none()
    if row is None or not hmac.compare_digest(row.digest.encode(), digest.encode()):
        return False
    await connection.execute(update(schema.code).where(_c.id == row.id).values(used_at=now))
    return True
