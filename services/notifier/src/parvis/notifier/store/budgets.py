"""What was sent already: to an address, in a conversation, by the whole town."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.notifier import tables
from parvis.notifier.rules import AUTOMATIC

_d = tables.delivery.c
_t = tables.tally.c
_DAY, _HOUR = timedelta(hours=24), timedelta(hours=1)
# What arrived, or may yet.
_ARRIVES = ("reserved", "unknown", "accepted", "delivered")


@dataclass
class Conversations:
    """What conversations got: registrations and receipts by conversation, kind and reply; messages of the last day."""

    notices: set[tuple[str, str, str]] = field(default_factory=set[tuple[str, str, str]])
    of_today: Counter[str] = field(default_factory=Counter[str])

    def has_another(self, conversation: str, kind: str, reply: str) -> bool:
        """Whether another reply of that kind went to that conversation."""
        return any((c, k) == (conversation, kind) and r != reply for c, k, r in self.notices)


async def lock_addresses(connection: AsyncConnection, hashes: Collection[str]) -> None:
    """Hold addresses against every other process until the end of the transaction; sorted, so that none waits in a ring."""
    a = tables.address
    if hashes:
        ordered = sorted(set(hashes))
        await connection.execute(insert(a).values([{"address_hash": h} for h in ordered]).on_conflict_do_nothing())
        held = select(a.c.address_hash).where(a.c.address_hash.in_(ordered)).order_by(a.c.address_hash)
        await connection.execute(held.with_for_update())


async def sent_to(
    connection: AsyncConnection, hashes: Collection[str], now: datetime, *, but: Collection[str]
) -> dict[str, tuple[int, int]]:
    """Automatic messages and answers that went to each address in the last 24 hours; `but` are not counted."""
    automatic = func.count().filter(_d.kind.in_(AUTOMATIC)).label("automatic")
    counted = (
        select(_d.address_hash, automatic, func.count().label("total"))
        .where(_d.address_hash.in_(hashes), _d.reserved_at > now - _DAY, _d.delivery_id.not_in(but))
        .group_by(_d.address_hash)
    )
    rows = (await connection.execute(counted)).all()
    return {row.address_hash: (row.automatic, row.total - row.automatic) for row in rows}


async def conversations_got(
    connection: AsyncConnection, conversations: Collection[str], now: datetime
) -> Conversations:
    """What conversations got until now."""
    sent = select(_d.conversation_id, _d.kind, _d.reply_id, _d.state, _d.reserved_at).where(
        _d.conversation_id.in_(conversations), or_(_d.state.in_(_ARRIVES), _d.reserved_at > now - _DAY)
    )
    got = Conversations()
    for row in (await connection.execute(sent)).all():
        if row.kind in {"registration", "receipt"} and row.state in _ARRIVES:
            got.notices.add((row.conversation_id, row.kind, row.reply_id))
        if row.reserved_at and row.reserved_at > now - _DAY:
            got.of_today[row.conversation_id] += 1
    return got


async def automatic_of_the_hour(connection: AsyncConnection, now: datetime) -> int:
    """How many automatic messages the town has sent in the last hour."""
    total = select(func.coalesce(func.sum(_t.automatic), 0)).where(_t.minute > now - _HOUR)
    return int(await connection.scalar(total) or 0)


async def count_automatic(connection: AsyncConnection, number: int, now: datetime) -> None:
    """Add to this minute's; last in its transaction, for the row is everybody's."""
    if number:
        minute = now.replace(second=0, microsecond=0)
        new = insert(tables.tally).values(minute=minute, automatic=number)
        await connection.execute(
            new.on_conflict_do_update(
                index_elements=["minute"], set_={"automatic": _t.automatic + new.excluded.automatic}
            )
        )


async def forget_tallies(connection: AsyncConnection, now: datetime) -> None:
    """What is older than a day counts for nothing."""
    await connection.execute(tables.tally.delete().where(_t.minute < now - _DAY))
