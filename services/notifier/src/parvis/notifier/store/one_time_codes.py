"""Stores one-time codes as keyed hashes, and limits how often they are requested and tried."""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.runtime.logs import logger
from parvis.notifier import schema

log = logger()
_c = schema.code.c
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
CODES_AN_HOUR, CODES_A_DAY = 3, 6  # of one reply, and to one address
TRIES = 5  # per code: with six codes a day, one day of guessing succeeds in one of 33,000 cases


@dataclass(frozen=True)
class OneTimeCode:
    """A code that was sent, as its keyed hash."""

    reply_id: str
    address_hash: str
    digest: str
    asked_at: datetime
    expires_at: datetime


async def record_code(connection: AsyncConnection, code: OneTimeCode) -> bool:
    """Record a code before it is sent; False if the reply or the address has reached its limit.

    Order: the caller holds the lock of the address; the row of the reply is locked here, so that concurrent requests are counted.
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


async def is_code_under_way(connection: AsyncConnection, reply_id: str, now: datetime) -> bool:
    """Say whether the newest code of a reply can still be used: a further request then sends and counts nothing."""
    newest = select(_c.expires_at, _c.used_at, _c.tries).where(_c.reply_id == reply_id).order_by(_c.id.desc()).limit(1)
    row = (await connection.execute(newest)).one_or_none()
    return row is not None and row.used_at is None and row.tries < TRIES and row.expires_at > now


async def end_code(connection: AsyncConnection, code: OneTimeCode) -> None:
    """End a code that could not be sent, so that another can be asked for at once. It stays counted."""
    ended = update(schema.code).where(_c.reply_id == code.reply_id, _c.digest == code.digest)
    await connection.execute(ended.values(expires_at=code.asked_at))


async def use_code(connection: AsyncConnection, reply_id: str, digest: str, now: datetime) -> bool:
    """Check a code against the newest one of a reply. Every try is counted."""
    newest = select(_c.id).where(_c.reply_id == reply_id).order_by(_c.id.desc()).limit(1).scalar_subquery()
    tried = (
        update(schema.code)
        .where(_c.id == newest, _c.tries < TRIES, _c.used_at.is_(None), _c.expires_at > now)
        .values(tries=_c.tries + 1)
        .returning(_c.id, _c.digest)
    )
    row = (await connection.execute(tried)).one_or_none()
    if row and not row.digest.isascii():
        log.error("access-code.damaged", reply_id=reply_id)
    if row is None or not hmac.compare_digest(row.digest.encode(), digest.encode()):
        return False
    await connection.execute(update(schema.code).where(_c.id == row.id).values(used_at=now))
    return True
