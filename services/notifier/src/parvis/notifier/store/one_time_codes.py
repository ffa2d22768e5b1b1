"""Stores one-time codes as keyed hashes, and limits how often they are requested."""

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
_HOUR, LIFETIME = timedelta(hours=1), timedelta(days=1)
CODES_AN_HOUR, CODES_A_DAY = (
    3,
    6,
)  # of one reply to one address; all of a day's can be used, so that nobody is locked out
ALL_AN_HOUR, ALL_A_DAY = 15, 30  # to one address, of all its replies
AGAIN_AFTER = timedelta(minutes=10)  # a message is on its way for so long


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
    to_address = _c.address_hash == code.address_hash
    limits = (
        (to_address & (_c.reply_id == code.reply_id), CODES_AN_HOUR, CODES_A_DAY),
        (to_address, ALL_AN_HOUR, ALL_A_DAY),
    )
    for counted, an_hour, a_day in limits:
        lately = func.count().filter(_c.asked_at > code.asked_at - _HOUR)
        counts = select(func.count(), lately).where(counted, _c.asked_at > code.asked_at - LIFETIME)
        today, this_hour = (await connection.execute(counts)).one()
        if today >= a_day or this_hour >= an_hour:
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


async def is_code_under_way(connection: AsyncConnection, reply_id: str, address_hash: str, now: datetime) -> bool:
    """Say whether a code of a reply was just sent to an address and not used: a further request then sends and counts nothing."""
    is_this = (_c.reply_id == reply_id) & (_c.address_hash == address_hash)
    is_fresh = _c.used_at.is_(None) & (_c.expires_at > now) & (_c.asked_at > now - AGAIN_AFTER)
    return (await connection.execute(select(_c.id).where(is_this, is_fresh).limit(1))).first() is not None


async def end_code(connection: AsyncConnection, code: OneTimeCode) -> None:
    """End a code that could not be sent, so that another can be asked for at once. It stays counted."""
    ended = update(schema.code).where(_c.reply_id == code.reply_id, _c.digest == code.digest)
    await connection.execute(ended.values(expires_at=code.asked_at))


async def use_code(connection: AsyncConnection, reply_id: str, digest: str, now: datetime) -> bool:
    """Use up the code of a reply with this digest. Wrong tries cost nothing: twelve digits cannot be guessed in a day."""
    usable = (_c.reply_id == reply_id) & _c.used_at.is_(None) & (_c.expires_at > now)
    for row in (await connection.execute(select(_c.id, _c.digest).where(usable))).all():
        if not row.digest.isascii():
            log.error("access-code.damaged", reply_id=reply_id)
        elif hmac.compare_digest(row.digest, digest):
            used = update(schema.code).where(_c.id == row.id, _c.used_at.is_(None)).values(used_at=now)
            return (await connection.execute(used.returning(_c.id))).first() is not None
    return False
