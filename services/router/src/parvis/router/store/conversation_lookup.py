"""Finds and locks the conversations that contacts may continue, in one round trip. The caller owns the transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.router.decide.conversation_working_set import ConversationWorkingSet
from parvis.router.decide.lookup_keys import LookupKeys
from parvis.router.models.stored_rows import Conversation

# Conversations per sender: more than a question can list.
_NEAREST = 12

# Locked in the order of ids, in every router, to prevent deadlocks. A conversation is returned once for each way in which it
# matched. `near`: conversations in which a sender wrote or whose case changed within the window.
_FIND = text(f"""
    with recursive named (id, how, word, mark, at) as (
        select id, 'token', null::text, null::bytea, null::timestamptz from unnest(cast(:tokens as uuid[])) as t (id)
        union all
        select conversation_id, 'reference', reference, null, null
        from router.alias where reference = any(cast(:references as text[]))
        union all
        select conversation_id, 'mark', null, mark, seen_at
        from router.mark where mark = any(cast(:marks as bytea[]))
    ),
    chain (id, root) as (
        select id, id from named
        union
        select c.id, chain.root from router.conversation c join chain on c.linked_to = chain.id
    ),
    found (id, how, word, mark, at, other) as (
        select id, how, word, mark, at, null::text from named
        union all
        select c.id, 'follower', null, null, c.opened_at, chain.root::text
        from chain join router.conversation c on c.id = chain.id where chain.id <> chain.root
        union all
        select s.conversation_id, 'sender', s.contact_point_hash, null, s.last_contact_at, s.channel
        from router.sender s
        where s.contact_point_hash = any(cast(:senders as text[])) and s.conversation_id in (select id from chain)
        union all
        select near.* from unnest(cast(:near as text[]), cast(:since as timestamptz[])) as w (hash, since)
        cross join lateral (
            select s.conversation_id, 'near', s.contact_point_hash, null::bytea,
                greatest(s.last_contact_at, c.case_updated_at) as active_at, s.channel
            from router.sender s join router.conversation c on c.id = s.conversation_id
            where s.contact_point_hash = w.hash and greatest(s.last_contact_at, c.case_updated_at) >= w.since
            order by active_at desc limit {_NEAREST}
        ) as near
        union all
        select id, 'candidate', null, null, null, null from unnest(cast(:candidates as uuid[])) as t (id)
    )
    select c.id, c.reference, c.department, c.sequence, c.procedure, c.opened_at, c.last_contact_at, c.closed_at, c.linked_to,
        f.how, f.word, f.mark, f.at, f.other
    from router.conversation c join found f on f.id = c.id
    order by c.id
    for update of c
""")  # noqa: S608 (a constant of ours)

_ASKED = text("""
    select q.sender_hash, q.channel, q.asked_at
    from router.question q
    join unnest(cast(:hashes as text[]), cast(:channels as text[])) as k (hash, channel)
        on q.sender_hash = k.hash and q.channel = k.channel
""")


async def lock_candidates(
    connection: AsyncConnection, keys: LookupKeys, *, candidates: Sequence[UUID] = ()
) -> ConversationWorkingSet:
    """All conversations that match the keys, and the candidates, locked until the transaction ends."""
    known = ConversationWorkingSet()
    if keys.is_empty and not candidates:
        return known
    near = sorted(keys.since)
    values = {
        "tokens": sorted(keys.tokens),
        "references": sorted(keys.references),
        "marks": sorted(keys.thread_keys),
        "senders": sorted(keys.senders),
        "near": near,
        "since": [keys.since[sender] for sender in near],
        "candidates": sorted(set(candidates)),
    }
    rows = (await connection.execute(_FIND, values)).all()
    for row in rows:
        if row.id not in known.conversations:
            known.conversations[row.id] = _conversation(row)
    # Oldest first: for thread keys and followers the newest entry must come last.
    for row in sorted(rows, key=_age):
        _learn(known, row)
    return known


async def read_last_questions(
    connection: AsyncConnection, known: ConversationWorkingSet, keys: Iterable[tuple[str, str]]
) -> None:
    """When these senders were last asked a question."""
    pairs = sorted(set(keys))
    values = {"hashes": [pair[0] for pair in pairs], "channels": [pair[1] for pair in pairs]}
    for row in await connection.execute(_ASKED, values):
        known.asked_at[row.sender_hash, row.channel] = row.asked_at


def _conversation(row: Any) -> Conversation:
    return Conversation(
        id=row.id,
        reference=row.reference,
        department=row.department,
        sequence=row.sequence,
        procedure=row.procedure,
        opened_at=row.opened_at,
        last_contact_at=row.last_contact_at,
        closed_at=row.closed_at,
        linked_to=row.linked_to,
    )


def _age(row: Any) -> tuple[bool, datetime]:
    return (row.at is not None, row.at or row.opened_at)


def _learn(known: ConversationWorkingSet, row: Any) -> None:
    match row.how:
        case "reference":
            known.by_reference[row.word] = row.id
        case "mark":
            known.add_thread_key(row.mark, row.id)
        case "follower":
            known.followers[UUID(row.other)] = row.id
        case "sender":
            known.senders.add((row.id, row.word))
        case "near":
            known.senders.add((row.id, row.word))
            known.add_activity(row.word, row.other, row.id, row.at)
        case _:
            pass
