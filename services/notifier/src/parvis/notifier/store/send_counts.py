"""Counts the messages sent to an address, in a conversation and by the whole town, and what those of each source cost."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.notifier import schema
from parvis.notifier.decide.send_budget import AutomaticCost, DaySpending
from parvis.notifier.models.delivery import AUTOMATIC

_t, _s = schema.tally.c, schema.source_tally.c
_DAY, _HOUR = timedelta(hours=24), timedelta(hours=1)
# One receipt per conversation, and one registration for each of a few people in it. A transfer notice counts as a receipt, for it says everything that a receipt says.
_COUNTS_AS = {"registration": "registration", "receipt": "receipt", "transfer": "receipt"}
# States of messages that arrived or still may.
_ARRIVES = ("reserved", "unknown", "accepted", "delivered")

# One advisory lock per address; it leaves no row behind.
_LOCK = text(
    "select pg_advisory_xact_lock(hashtextextended(name, 0)) from unnest(cast(:hashes as text[])) as held (name)"
)
_SENT_TO = text(
    """
    select address_hash, count(*) filter (where kind = any(:kinds)) as automatic, count(*) as total
    from notifier.delivery
    where address_hash = any(:hashes) and reserved_at > :since and delivery_id <> all(:but)
    group by address_hash
    """
)
_SENT_IN = text(
    """
    select conversation_id, kind, reply_id, address_hash, state, reserved_at from notifier.delivery
    where conversation_id = any(:conversations) and (state = any(:arrives) or reserved_at > :since)
    """
)


@dataclass
class ConversationCounts:
    """The messages of conversations: registrations and receipts by conversation, kind, reply and address; and the number of the last day."""

    notices: set[tuple[str, str, str, str]] = field(default_factory=set[tuple[str, str, str, str]])
    of_today: Counter[str] = field(default_factory=Counter[str])

    def add_notice(self, conversation: str, kind: str, reply: str, address_hash: str) -> None:
        """Remember a reply that arrives, if its kind is limited."""
        if counts_as := _COUNTS_AS.get(kind):
            self.notices.add((conversation, counts_as, reply, address_hash))

    def addresses_of(self, conversation: str, kind: str, *, but: str) -> list[str]:
        """The hashes of the addresses that got a notice of the kind in the conversation by another reply than `but`."""
        return [address for c, k, reply, address in self.notices if (c, k) == (conversation, kind) and reply != but]


async def lock_addresses(connection: AsyncConnection, hashes: Collection[str]) -> None:
    """Lock addresses until the end of the transaction; sorted, so that processes never deadlock."""
    if hashes:
        await connection.execute(_LOCK, {"hashes": sorted(set(hashes))})


async def count_by_address(
    connection: AsyncConnection, hashes: Collection[str], now: datetime, *, but: Collection[str]
) -> dict[str, tuple[int, int]]:
    """The numbers of automatic messages and answers to each address in the last 24 hours, without the deliveries `but`."""
    values = {"hashes": list(hashes), "kinds": list(AUTOMATIC), "since": now - _DAY, "but": list(but)}
    rows = (await connection.execute(_SENT_TO, values)).all()
    return {row.address_hash: (row.automatic, row.total - row.automatic) for row in rows}


async def count_by_conversation(
    connection: AsyncConnection, conversations: Collection[str], now: datetime
) -> ConversationCounts:
    """Count the messages of conversations."""
    values = {"conversations": list(conversations), "arrives": list(_ARRIVES), "since": now - _DAY}
    counts = ConversationCounts()
    for row in (await connection.execute(_SENT_IN, values)).all():
        if row.state in _ARRIVES:
            counts.add_notice(row.conversation_id, row.kind, row.reply_id, row.address_hash or "")
        if row.reserved_at and row.reserved_at > now - _DAY:
            counts.of_today[row.conversation_id] += 1
    return counts


async def automatic_in_last_hour(connection: AsyncConnection, now: datetime) -> int:
    """The number of automatic messages of the town in the last hour."""
    total = select(func.coalesce(func.sum(_t.automatic), 0)).where(_t.minute > now - _HOUR)
    return int(await connection.scalar(total) or 0)


async def lock_sources(connection: AsyncConnection, sources: Collection[str]) -> None:
    """Lock sources until the end of the transaction. Call it after `lock_addresses`, in every process."""
    await lock_addresses(connection, sources)


async def spending_of_day(connection: AsyncConnection, sources: Collection[str], now: datetime) -> DaySpending:
    """What the automatic messages of the last 24 hours cost the town, and because of these sources."""
    sums = select(func.coalesce(func.sum(_t.segments), 0), func.coalesce(func.sum(_t.letters), 0))
    segments, letters = (await connection.execute(sums.where(_t.minute > now - _DAY))).one()
    of_sources = (
        select(_s.source, func.sum(_s.segments).label("segments"), func.sum(_s.letters).label("letters"))
        .where(_s.source.in_(sources), _s.hour > now - _DAY)
        .group_by(_s.source)
    )
    rows = (await connection.execute(of_sources)).all() if sources else []
    by_source = {row.source: AutomaticCost(int(row.segments), int(row.letters)) for row in rows}
    return DaySpending(AutomaticCost(int(segments), int(letters)), by_source)


async def count_automatic(connection: AsyncConnection, number: int, cost: DaySpending, now: datetime) -> None:
    """Add to the tallies of this minute and of the sources' hour. Call it last in a transaction: every process locks these rows."""
    if not number:
        return
    hour, minute = now.replace(minute=0, second=0, microsecond=0), now.replace(second=0, microsecond=0)
    for source, of_source in sorted(cost.by_source.items()):
        values = {"segments": of_source.segments, "letters": of_source.letters}
        new = insert(schema.source_tally).values(source=source, hour=hour, **values)
        added = {name: _s[name] + new.excluded[name] for name in values}
        await connection.execute(new.on_conflict_do_update(index_elements=["source", "hour"], set_=added))
    values = {"automatic": number, "segments": cost.town.segments, "letters": cost.town.letters}
    new = insert(schema.tally).values(minute=minute, **values)
    added = {name: _t[name] + new.excluded[name] for name in values}
    await connection.execute(new.on_conflict_do_update(index_elements=["minute"], set_=added))


async def delete_old_tallies(connection: AsyncConnection, now: datetime) -> None:
    """Delete tallies older than a day."""
    await connection.execute(schema.tally.delete().where(_t.minute < now - _DAY))
    await connection.execute(schema.source_tally.delete().where(_s.hour < now - _DAY))
