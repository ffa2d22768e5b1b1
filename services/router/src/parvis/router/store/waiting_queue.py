"""What waits in and out of PostgreSQL; whoever calls owns the transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.router.models.stored_rows import WaitingRow
from parvis.router.store.decisions import ConcurrentUpdate

_COLUMNS = """
    contact_id, why, sender_hash, channel, topic, partition, "offset", key, headers, value, waits_since, candidates, question, attempts,
    reason, due_at, asked_at, placed_at, number
"""

# Always before any conversation is locked, and in the order of arrival: two routers never wait for each other in a circle.
_BEHIND = text(f"""
    select {_COLUMNS} from router.waiting
    where placed_at is null and contact_id = any(array(
        select unnest(cast(:ids as uuid[]))
        union
        select w.contact_id from unnest(cast(:hashes as text[]), cast(:channels as text[])) as k (hash, channel)
        join router.waiting w on w.sender_hash = k.hash and w.channel = k.channel and w.placed_at is null
    ))
    order by number for update
""")  # noqa: S608 (constants of ours)

_DUE = text("""
    select contact_id from router.waiting
    where placed_at is null and why <> 'queued' and due_at <= cast(:at as timestamptz)
    order by due_at, number limit :most
""")

_HEAD = text(f"""
    select {_COLUMNS} from router.waiting
    where contact_id = :id and placed_at is null and why <> 'queued' and due_at <= cast(:at as timestamptz)
    for update skip locked
""")  # noqa: S608

_HOLD = text("""
    insert into router.waiting (contact_id, why, sender_hash, channel, topic, partition, "offset", key, headers, value,
        candidates, question, attempts, reason, due_at, waits_since)
    values (:contact_id, :why, :sender_hash, :channel, :topic, :partition, :offset, :key, :headers, :value,
        :candidates, :question, :attempts, :reason, :due_at, :waits_since)
    on conflict do nothing
""")

_CHANGE = text("""
    update router.waiting
    set why = :why, candidates = :candidates, question = :question, attempts = :attempts, reason = :reason, due_at = :due_at
    where contact_id = :contact_id
""")

_PLACED = text("""
    update router.waiting set placed_at = cast(:at as timestamptz) where contact_id = any(cast(:ids as uuid[]))
""")

_ASKED = text("""
    insert into router.question (sender_hash, channel, asked_at)
    select * from unnest(cast(:hashes as text[]), cast(:channels as text[]), cast(:asked as timestamptz[]))
    on conflict (sender_hash, channel) do update set asked_at = excluded.asked_at
""")

_TO_TELL = text(f"""
    select {_COLUMNS} from router.waiting
    where placed_at is not null or (why = 'question' and asked_at is null)
    order by number limit :most for update skip locked
""")  # noqa: S608

_TOLD = text("delete from router.waiting where contact_id = any(cast(:ids as uuid[]))")

_QUESTIONS_TOLD = text("""
    update router.waiting set asked_at = cast(:at as timestamptz) where contact_id = any(cast(:ids as uuid[]))
""")

_STANDING = text("""
    select why, count(*) as total, min(due_at) as first_due_at from router.waiting where placed_at is null group by why
""")

_WHERE = text(f"""
    select {_COLUMNS} from router.waiting
    where contact_id = any(cast(:ids as uuid[])) or candidates && cast(:ids as uuid[])
    order by number
""")  # noqa: S608


async def lock_waiting_behind(
    connection: AsyncConnection, ids: Sequence[UUID], keys: Iterable[tuple[str, str]]
) -> list[WaitingRow]:
    """What waits of these contacts and of these senders on their channels, oldest first, locked."""
    pairs = sorted(set(keys))
    values = {"ids": list(ids), "hashes": [pair[0] for pair in pairs], "channels": [pair[1] for pair in pairs]}
    return [_waiting(row) for row in await connection.execute(_BEHIND, values)]


async def find_due(connection: AsyncConnection, at: datetime, *, most: int) -> list[UUID]:
    """Heads whose time has come, the longest due first."""
    return [row.contact_id for row in await connection.execute(_DUE, {"at": at, "most": most})]


async def lock_due(connection: AsyncConnection, id_: UUID, at: datetime) -> WaitingRow | None:
    """A head whose time has come, locked; none when another router has it, or has done with it."""
    row = (await connection.execute(_HEAD, {"id": id_, "at": at})).first()
    return _waiting(row) if row else None


async def insert_waiting(connection: AsyncConnection, rows: Sequence[WaitingRow]) -> None:
    """Keep records until their contacts can be placed.

    Raises: Overtaken, when another router holds one of them, or another one of its sender, meanwhile.
    """
    for row in rows:
        if (await connection.execute(_HOLD, _values(row))).rowcount < 1:
            raise ConcurrentUpdate("another router holds a contact of this sender")


async def update_waiting(connection: AsyncConnection, rows: Sequence[WaitingRow]) -> None:
    """Store why rows go on waiting, and until when."""
    for row in rows:
        values = _values(row)
        kept = ("why", "candidates", "question", "attempts", "reason", "due_at", "contact_id")
        await connection.execute(_CHANGE, {name: values[name] for name in kept})


async def mark_assigned(connection: AsyncConnection, ids: Iterable[UUID], at: datetime) -> None:
    """Remember that their decisions are stored; what follows from them is told next."""
    placed = sorted(ids)
    if placed:
        await connection.execute(_PLACED, {"ids": placed, "at": at})


async def record_questions(connection: AsyncConnection, keys: Iterable[tuple[str, str]], at: datetime) -> None:
    """Remember who was asked, for longer than the question waits."""
    pairs = sorted(set(keys))
    if pairs:
        values = {"hashes": [p[0] for p in pairs], "channels": [p[1] for p in pairs], "asked": [at] * len(pairs)}
        await connection.execute(_ASKED, values)


async def to_tell(connection: AsyncConnection, *, most: int) -> list[WaitingRow]:
    """What Kafka has to be told of: placed contacts and new questions, locked, without those that another router tells."""
    return [_waiting(row) for row in await connection.execute(_TO_TELL, {"most": most})]


async def record_told(
    connection: AsyncConnection, *, placed: Sequence[UUID], asked: Sequence[UUID], at: datetime
) -> None:
    """Forget placed contacts, and remember that questions were asked: Kafka has acknowledged all of it."""
    if placed:
        await connection.execute(_TOLD, {"ids": list(placed)})
    if asked:
        await connection.execute(_QUESTIONS_TOLD, {"ids": list(asked), "at": at})


async def count_waiting(connection: AsyncConnection) -> dict[str, tuple[int, datetime | None]]:
    """How many wait, and since when the first is due, by why."""
    return {row.why: (row.total, row.first_due_at) for row in await connection.execute(_STANDING)}


async def find_waiting_about(connection: AsyncConnection, ids: Sequence[UUID]) -> list[WaitingRow]:
    """What waits of these contacts, or may belong to these conversations; not locked."""
    return [_waiting(row) for row in await connection.execute(_WHERE, {"ids": list(ids)})]


def _waiting(row: Row[Any]) -> WaitingRow:
    known: dict[str, Any] = dict(zip(WaitingRow.__slots__, row, strict=True))
    known["candidates"] = tuple(row.candidates)
    return WaitingRow(**known)


def _values(row: WaitingRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in WaitingRow.__slots__} | {"candidates": list(row.candidates)}
