"""Conversations and decisions in and out of PostgreSQL; whoever calls owns the transaction."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contact import ContactReceived
from parvis.common.errors import Unavailable
from parvis.common.routing import CaseUpdated
from parvis.router.decide import THREADLESS, Known, Placed, quoted_by, uuid_of
from parvis.router.tables import Conversation, DecisionRow


class Overtaken(Unavailable):
    """Another router decided one of these meanwhile: begin the transaction again, its rows are visible now."""


_IS_MIGRATED = text("select to_regclass('router.decision') is not null")

_DECISIONS = text("""
    select id, kind, conversation_id, sequence, opens, value, decided_at
    from router.decision where id = any(cast(:ids as uuid[]))
""")

_ALIASES = text("""
    select reference, conversation_id from router.alias where reference = any(cast(:references as text[]))
""")

_SENDERS = text("""
    select conversation_id, contact_point_hash from router.sender
    where contact_point_hash = any(cast(:hashes as text[])) and conversation_id = any(cast(:ids as uuid[]))
""")

_LATEST = text("""
    select distinct on (s.contact_point_hash, s.channel)
        s.contact_point_hash, s.channel, s.conversation_id, s.last_contact_at
    from router.sender s join router.conversation c on c.id = s.conversation_id and c.closed_at is null
    where s.contact_point_hash = any(cast(:hashes as text[])) and s.channel = any(cast(:channels as text[]))
    order by s.contact_point_hash, s.channel, s.last_contact_at desc
""")

# Sorted by id, as every router does: two of them never wait for each other in a circle.
_LOCK = text("""
    select id, reference, department, sequence, procedure, opened_at, last_contact_at, closed_at
    from router.conversation where id = any(cast(:ids as uuid[])) order by id for update
""")

_OPEN = text("""
    insert into router.conversation (id, reference, department, sequence, procedure, opened_at, last_contact_at)
    select * from unnest(
        cast(:ids as uuid[]), cast(:references as text[]), cast(:departments as text[]), cast(:sequences as integer[]),
        cast(:procedures as text[]), cast(:opened as timestamptz[]), cast(:latest as timestamptz[])
    )
    on conflict do nothing
""")

_CONTINUE = text("""
    update router.conversation c
    set department = n.department, sequence = n.sequence, last_contact_at = n.latest, closed_at = n.closed_at
    from unnest(
        cast(:ids as uuid[]), cast(:departments as text[]), cast(:sequences as integer[]),
        cast(:latest as timestamptz[]), cast(:closed as timestamptz[])
    ) as n (id, department, sequence, latest, closed_at)
    where c.id = n.id
""")

_DECIDE = text("""
    insert into router.decision (id, kind, conversation_id, sequence, opens, value, decided_at)
    select * from unnest(
        cast(:ids as uuid[]), cast(:kinds as text[]), cast(:conversations as uuid[]), cast(:sequences as integer[]),
        cast(:opens as boolean[]), cast(:values as text[]), cast(:decided as timestamptz[])
    )
    on conflict do nothing
""")

_NAME = text("""
    insert into router.alias (reference, conversation_id, contact_id)
    select * from unnest(cast(:references as text[]), cast(:conversations as uuid[]), cast(:contacts as uuid[]))
    on conflict do nothing returning contact_id
""")

_WROTE = text("""
    insert into router.sender (contact_point_hash, channel, conversation_id, last_contact_at)
    select * from unnest(
        cast(:hashes as text[]), cast(:channels as text[]), cast(:conversations as uuid[]), cast(:latest as timestamptz[])
    )
    on conflict (contact_point_hash, channel, conversation_id)
    do update set last_contact_at = greatest(router.sender.last_contact_at, excluded.last_contact_at)
""")

_FOLLOW_CASE = text("""
    update router.conversation
    set closed_at = cast(:closed_at as timestamptz), case_updated_at = cast(:at as timestamptz)
    where id = :id and department = :department and (case_updated_at is null or case_updated_at <= cast(:at as timestamptz))
""")


async def is_migrated(connection: AsyncConnection) -> bool:
    return bool(await connection.scalar(_IS_MIGRATED))


async def decisions_of(connection: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, DecisionRow]:
    """What was decided before about any of these contacts or transfers."""
    rows = await connection.execute(_DECISIONS, {"ids": list(ids)})
    return {row.id: DecisionRow(*row) for row in rows}


async def lock_known(connection: AsyncConnection, contacts: Sequence[ContactReceived]) -> Known:
    """Every conversation that one of the contacts might continue, its row locked until the transaction ends."""
    known = Known()
    tokens = {token for contact in contacts if (token := uuid_of(contact.thread.conversation_id))}
    hashes = sorted({c.contact_point_hash for c in contacts if c.contact_point_hash and c.channel in THREADLESS})
    quoted = sorted({quoted for c in contacts if c.contact_point_hash and (quoted := quoted_by(c))})
    if quoted:
        await _learn_references(connection, known, quoted, contacts)
    if hashes:
        for row in await connection.execute(_LATEST, {"hashes": hashes, "channels": sorted(THREADLESS)}):
            known.latest[row.contact_point_hash, row.channel] = (row.conversation_id, row.last_contact_at)
    ids = tokens | set(known.by_reference.values()) | {found for found, _ in known.latest.values()}
    known.conversations = await lock_conversations(connection, sorted(ids))
    return known


async def _learn_references(
    connection: AsyncConnection, known: Known, quoted: list[str], contacts: Sequence[ContactReceived]
) -> None:
    for row in await connection.execute(_ALIASES, {"references": quoted}):
        known.by_reference[row.reference] = row.conversation_id
    hashes = sorted({c.contact_point_hash for c in contacts if c.contact_point_hash and quoted_by(c)})
    values = {"hashes": hashes, "ids": sorted(set(known.by_reference.values()))}
    for row in await connection.execute(_SENDERS, values):
        known.senders.add((row.conversation_id, row.contact_point_hash))


async def lock_conversations(connection: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, Conversation]:
    if not ids:
        return {}
    rows = await connection.execute(_LOCK, {"ids": list(ids)})
    return {row.id: _conversation(row) for row in rows}


def _conversation(row: Row[Any]) -> Conversation:
    return Conversation(*row)


async def record_decisions(
    connection: AsyncConnection, rows: Sequence[DecisionRow], conversations: Sequence[Conversation]
) -> None:
    """Store decisions, and the conversations as they stand after them.

    Raises: Overtaken, when another router stored one of them first; nothing of this transaction may stay.
    """
    new = sorted((c for c in conversations if c.is_new), key=lambda c: c.id)
    if new and (await connection.execute(_OPEN, _opening(new))).rowcount < len(new):
        raise Overtaken("a conversation was opened by another router")
    changed = [c for c in conversations if not c.is_new]
    if changed:
        await connection.execute(_CONTINUE, _continuing(changed))
    stored = await connection.execute(_DECIDE, _deciding(rows))
    if stored.rowcount < len(rows):
        raise Overtaken("a contact was decided by another router")


async def record_names(connection: AsyncConnection, placed: Sequence[Placed]) -> list[Placed]:
    """Store the references and senders of new contacts; gives those whose reference another contact had already."""
    in_order = sorted(placed, key=lambda p: p.contact.reference)
    conversations = [UUID(p.routing.conversation_id) for p in in_order]
    values = {
        "references": [p.contact.reference for p in in_order],
        "conversations": conversations,
        "contacts": [UUID(p.contact.contact_id) for p in in_order],
    }
    named = {row.contact_id for row in await connection.execute(_NAME, values)}
    senders = {
        (p.contact.contact_point_hash, p.contact.channel, UUID(p.routing.conversation_id)): p.contact.received_at
        for p in sorted(placed, key=lambda p: p.contact.received_at)
        if p.contact.contact_point_hash
    }
    if senders:
        keys = sorted(senders)
        values = {
            "hashes": [key[0] for key in keys],
            "channels": [key[1] for key in keys],
            "conversations": [key[2] for key in keys],
            "latest": [senders[key] for key in keys],
        }
        await connection.execute(_WROTE, values)
    return [p for p in placed if UUID(p.contact.contact_id) not in named]


async def follow_case(connection: AsyncConnection, case: CaseUpdated) -> None:
    """Remember that the department that has it closed the conversation, or opened it again; an older word changes nothing."""
    conversation = uuid_of(case.conversation_id)
    if conversation:
        closed_at = case.at if case.state == "closed" else None
        values = {"id": conversation, "department": case.department, "closed_at": closed_at, "at": case.at}
        await connection.execute(_FOLLOW_CASE, values)


def _opening(new: Sequence[Conversation]) -> dict[str, Any]:
    return {
        "ids": [c.id for c in new],
        "references": [c.reference for c in new],
        "departments": [c.department for c in new],
        "sequences": [c.sequence for c in new],
        "procedures": [c.procedure for c in new],
        "opened": [c.opened_at for c in new],
        "latest": [c.last_contact_at for c in new],
    }


def _continuing(changed: Sequence[Conversation]) -> dict[str, Any]:
    return {
        "ids": [c.id for c in changed],
        "departments": [c.department for c in changed],
        "sequences": [c.sequence for c in changed],
        "latest": [c.last_contact_at for c in changed],
        "closed": [c.closed_at for c in changed],
    }


def _deciding(rows: Sequence[DecisionRow]) -> dict[str, Any]:
    return {
        "ids": [row.id for row in rows],
        "kinds": [row.kind for row in rows],
        "conversations": [row.conversation_id for row in rows],
        "sequences": [row.sequence for row in rows],
        "opens": [row.opens for row in rows],
        "values": [row.value for row in rows],
        "decided": [row.decided_at for row in rows],
    }
