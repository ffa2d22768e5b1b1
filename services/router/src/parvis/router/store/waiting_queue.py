"""Reads and writes router.waiting, the queue of contacts that cannot be assigned yet. The caller owns the transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.router.models.stored_rows import WaitingRow
from parvis.router.store.decisions import ConcurrentUpdate

_COLUMNS = """
    contact_id, why, sender_hash, channel, topic, partition, "offset", key, headers, value, waits_since, candidates, question, attempts,
    reason, due_at, asked_at, placed_at, claimed_until, number
"""

# Always locked before any conversation, and in order of arrival, to prevent deadlocks.
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

_INSERT = text("""
    insert into router.waiting (contact_id, why, sender_hash, channel, topic, partition, "offset", key, headers, value,
        candidates, question, attempts, reason, due_at, waits_since)
    values (:contact_id, :why, :sender_hash, :channel, :topic, :partition, :offset, :key, :headers, :value,
        :candidates, :question, :attempts, :reason, :due_at, :waits_since)
    on conflict do nothing
""")

_UPDATE = text("""
    update router.waiting
    set why = :why, candidates = :candidates, question = :question, attempts = :attempts, reason = :reason, due_at = :due_at
    where contact_id = :contact_id
""")

_MARK_ASSIGNED = text("""
    update router.waiting set placed_at = cast(:at as timestamptz) where contact_id = any(cast(:ids as uuid[]))
""")

_RECORD_QUESTIONS = text("""
    insert into router.question (sender_hash, channel, asked_at)
    select * from unnest(cast(:hashes as text[]), cast(:channels as text[]), cast(:asked as timestamptz[]))
    on conflict (sender_hash, channel) do update set asked_at = excluded.asked_at
""")

_CLAIM = text(f"""
    update router.waiting set claimed_until = cast(:until as timestamptz)
    where contact_id in (
        select contact_id from router.waiting
        where (placed_at is not null or (why = 'question' and asked_at is null))
            and (claimed_until is null or claimed_until <= cast(:at as timestamptz))
        order by claimed_until nulls first, number limit :most for update skip locked
    )
    returning {_COLUMNS}
""")  # noqa: S608

_RELEASE = text("""
    update router.waiting set claimed_until = cast(:until as timestamptz) where contact_id = any(cast(:ids as uuid[]))
""")

_DELETE = text("delete from router.waiting where contact_id = any(cast(:ids as uuid[]))")

_MARK_ASKED = text("""
    update router.waiting set asked_at = cast(:at as timestamptz), claimed_until = null
    where contact_id = any(cast(:ids as uuid[]))
""")

# The first row of a queue without a head becomes its head, due now. Rows locked by another router are skipped.
_PROMOTE = text("""
    update router.waiting set why = 'trouble', due_at = cast(:at as timestamptz)
    where contact_id in (
        select q.contact_id from router.waiting q
        where q.placed_at is null and q.why = 'queued' and not exists (
            select from router.waiting b
            where b.sender_hash = q.sender_hash and b.channel = q.channel and b.placed_at is null
                and (b.why <> 'queued' or b.number < q.number)
        )
        for update skip locked
    )
""")

_COUNT = text("""
    select case when placed_at is null then why else 'unpublished' end as reason, count(*) as total,
        min(coalesce(placed_at, due_at)) as first_due_at
    from router.waiting group by 1
""")

_ABOUT = text(f"""
    select {_COLUMNS} from router.waiting
    where contact_id = any(cast(:ids as uuid[])) or candidates && cast(:ids as uuid[])
    order by number
""")  # noqa: S608


async def lock_waiting_behind(
    connection: AsyncConnection, ids: Sequence[UUID], keys: Iterable[tuple[str, str]]
) -> list[WaitingRow]:
    """The waiting contacts with these ids, and those of these senders and channels: oldest first, locked."""
    pairs = sorted(set(keys))
    values = {"ids": list(ids), "hashes": [pair[0] for pair in pairs], "channels": [pair[1] for pair in pairs]}
    return [_waiting(row) for row in (await connection.execute(_BEHIND, values)).mappings()]


async def find_due(connection: AsyncConnection, at: datetime, *, most: int) -> list[UUID]:
    """The heads of queues that are due, the longest due first."""
    return [row.contact_id for row in await connection.execute(_DUE, {"at": at, "most": most})]


async def lock_due(connection: AsyncConnection, id_: UUID, at: datetime) -> WaitingRow | None:
    """A head that is due, locked; None if another router holds or has released it."""
    row = (await connection.execute(_HEAD, {"id": id_, "at": at})).mappings().first()
    return _waiting(row) if row else None


async def insert_waiting(connection: AsyncConnection, rows: Sequence[WaitingRow]) -> None:
    """Store contacts until they can be assigned.

    Raises: ConcurrentUpdate, when another router stored one of them, or another contact of the same sender, first.
    """
    for row in rows:
        if (await connection.execute(_INSERT, _values(row))).rowcount < 1:
            raise ConcurrentUpdate("another router holds a contact of this sender")


async def insert_published_later(connection: AsyncConnection, row: WaitingRow, at: datetime) -> None:
    """Store a contact whose decision is stored and whose records could not be produced; again is nothing new."""
    await connection.execute(_INSERT, _values(row))
    await mark_assigned(connection, [row.contact_id], at)


async def update_waiting(connection: AsyncConnection, rows: Sequence[WaitingRow]) -> None:
    """Store the new reason and due time of these contacts."""
    for row in rows:
        values = _values(row)
        changed = ("why", "candidates", "question", "attempts", "reason", "due_at", "contact_id")
        await connection.execute(_UPDATE, {name: values[name] for name in changed})


async def mark_assigned(connection: AsyncConnection, ids: Iterable[UUID], at: datetime) -> None:
    """Mark contacts whose decisions are stored: their records are published next."""
    assigned = sorted(ids)
    if assigned:
        await connection.execute(_MARK_ASSIGNED, {"ids": assigned, "at": at})


async def record_questions(connection: AsyncConnection, keys: Iterable[tuple[str, str]], at: datetime) -> None:
    """Store when these senders were asked; the row outlives the question."""
    pairs = sorted(set(keys))
    if pairs:
        values = {"hashes": [p[0] for p in pairs], "channels": [p[1] for p in pairs], "asked": [at] * len(pairs)}
        await connection.execute(_RECORD_QUESTIONS, values)


async def claim_publishable(
    connection: AsyncConnection, *, at: datetime, until: datetime, most: int
) -> list[WaitingRow]:
    """Claim the oldest assigned contacts and new questions until `until`; those claimed by another router are left out."""
    rows = await connection.execute(_CLAIM, {"at": at, "until": until, "most": most})
    return sorted((_waiting(mapping) for mapping in rows.mappings()), key=lambda row: row.number)


async def release_claims(connection: AsyncConnection, ids: Sequence[UUID], until: datetime | None = None) -> None:
    """Release the claims, at once or at an instant: nothing was acknowledged, so any router may publish these rows."""
    await connection.execute(_RELEASE, {"ids": list(ids), "until": until})


async def delete_waiting(connection: AsyncConnection, ids: Sequence[UUID]) -> None:
    """Delete finished rows: Kafka has acknowledged all their records."""
    if ids:
        await connection.execute(_DELETE, {"ids": list(ids)})


async def mark_asked(connection: AsyncConnection, ids: Sequence[UUID], at: datetime) -> None:
    """Record that Kafka has acknowledged these contacts' questions."""
    if ids:
        await connection.execute(_MARK_ASKED, {"ids": list(ids), "at": at})


async def promote_first_in_queue(connection: AsyncConnection, at: datetime) -> None:
    """Make the first contact of every queue without a head its head, due now.

    Raises: ConcurrentUpdate, when another router gave one of these senders a head meanwhile.
    """
    try:
        await connection.execute(_PROMOTE, {"at": at})
    except IntegrityError as error:
        raise ConcurrentUpdate("another router holds a contact of this sender") from error


async def count_waiting(connection: AsyncConnection) -> dict[str, tuple[int, datetime | None]]:
    """How many contacts wait and when the first of them is due, by reason; an assigned one was due when it was assigned."""
    return {row.reason: (row.total, row.first_due_at) for row in await connection.execute(_COUNT)}


async def find_waiting_about(connection: AsyncConnection, ids: Sequence[UUID]) -> list[WaitingRow]:
    """The waiting contacts with these ids, or that may belong to these conversations; not locked."""
    return [_waiting(row) for row in (await connection.execute(_ABOUT, {"ids": list(ids)})).mappings()]


def _waiting(row: RowMapping) -> WaitingRow:
    values: dict[str, Any] = dict(row)
    values["candidates"] = tuple(row["candidates"])
    return WaitingRow(**values)


def _values(row: WaitingRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in WaitingRow.__slots__} | {"candidates": list(row.candidates)}
