"""Reads and writes conversations, their references, senders, thread keys and case states. The caller owns the transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.routing.decisions import CaseUpdated
from parvis.router.decide.conversation_assignment import AssignedContact
from parvis.router.decide.conversation_working_set import parse_uuid
from parvis.router.models.stored_rows import Conversation
from parvis.router.store.decisions import ConcurrentUpdate

# Locked in the order of ids, in every router, to prevent deadlocks.
_LOCK = text("""
    select id, reference, department, sequence, procedure, opened_at, last_contact_at, closed_at, linked_to
    from router.conversation where id = any(cast(:ids as uuid[])) order by id for update
""")

_NAME = text("""
    insert into router.alias (reference, conversation_id, contact_id)
    select * from unnest(cast(:references as text[]), cast(:conversations as uuid[]), cast(:contacts as uuid[]))
    on conflict do nothing returning contact_id
""")

# If two routers number a sender's next conversation, one gets the number and the other retries its transaction.
_WROTE = text("""
    with wrote as (
        select * from unnest(
            cast(:hashes as text[]), cast(:channels as text[]), cast(:conversations as uuid[]), cast(:latest as timestamptz[])
        ) as w (contact_point_hash, channel, conversation_id, last_contact_at)
    ), again as (
        update router.sender s set last_contact_at = greatest(s.last_contact_at, w.last_contact_at)
        from wrote w
        where s.contact_point_hash = w.contact_point_hash and s.channel = w.channel and s.conversation_id = w.conversation_id
        returning s.contact_point_hash, s.channel, s.conversation_id
    )
    insert into router.sender (contact_point_hash, channel, nth, conversation_id, last_contact_at)
    select w.contact_point_hash, w.channel, coalesce((
        select max(s.nth) from router.sender s where s.contact_point_hash = w.contact_point_hash and s.channel = w.channel
    ), 0) + row_number() over (partition by w.contact_point_hash, w.channel order by w.last_contact_at), w.conversation_id, w.last_contact_at
    from wrote w
    where (w.contact_point_hash, w.channel, w.conversation_id) not in (select * from again)
    order by 1, 2, 3
""")

_MARK = text("""
    insert into router.mark (mark, conversation_id, seen_at)
    select * from unnest(cast(:marks as bytea[]), cast(:conversations as uuid[]), cast(:seen as timestamptz[]))
    on conflict (mark, conversation_id) do update set seen_at = greatest(router.mark.seen_at, excluded.seen_at)
""")

_RECORD_CASE = text("""
    update router.conversation
    set closed_at = cast(:closed_at as timestamptz), case_updated_at = cast(:at as timestamptz)
    where id = :id and department = :department and (case_updated_at is null or case_updated_at <= cast(:at as timestamptz))
""")


async def lock_conversations(connection: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, Conversation]:
    if not ids:
        return {}
    rows = await connection.execute(_LOCK, {"ids": list(ids)})
    return {row["id"]: Conversation(**row) for row in rows.mappings()}


async def record_references(connection: AsyncConnection, placed: Sequence[AssignedContact]) -> list[AssignedContact]:
    """Store the references and senders of new contacts; returns those whose reference another contact already has."""
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
    await record_senders(connection, senders)
    await _record_marks(connection, placed)
    return [p for p in placed if UUID(p.contact.contact_id) not in named]


async def record_senders(connection: AsyncConnection, senders: Mapping[tuple[str, str, UUID], datetime]) -> None:
    """Store who wrote in which conversation (hash, channel) and when they last did.

    Raises: ConcurrentUpdate, when another router numbered a sender's conversation first.
    """
    if not senders:
        return
    keys = sorted(senders)
    values = {
        "hashes": [key[0] for key in keys],
        "channels": [key[1] for key in keys],
        "conversations": [key[2] for key in keys],
        "latest": [senders[key] for key in keys],
    }
    try:
        await connection.execute(_WROTE, values)
    except IntegrityError as error:
        raise ConcurrentUpdate("a sender's conversation was opened by another router") from error


async def _record_marks(connection: AsyncConnection, placed: Sequence[AssignedContact]) -> None:
    seen = {
        (mark, UUID(p.routing.conversation_id)): p.contact.received_at
        for p in sorted(placed, key=lambda p: p.contact.received_at)
        for mark in p.thread_keys.stored
    }
    if seen:
        keys = sorted(seen)
        values = {
            "marks": [key[0] for key in keys],
            "conversations": [key[1] for key in keys],
            "seen": [seen[key] for key in keys],
        }
        await connection.execute(_MARK, values)


async def record_cases(connection: AsyncConnection, cases: Sequence[CaseUpdated]) -> None:
    """Store which conversations were closed or reopened by their departments; an older event changes nothing."""
    # Sorted to prevent deadlocks; stable, so that records of one conversation stay in order.
    for case in sorted(cases, key=lambda case: case.conversation_id):
        conversation = parse_uuid(case.conversation_id)
        if conversation:
            closed_at = case.at if case.state == "closed" else None
            values = {"id": conversation, "department": case.department, "closed_at": closed_at, "at": case.at}
            await connection.execute(_RECORD_CASE, values)
