"""Contacts in, the conversations that they may continue out, in one round trip, each row locked; whoever calls owns the transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.contact import ContactReceived
from parvis.router.decide.find_conversation import ConversationWindows, KnownConversations, parse_uuid, quoted_reference
from parvis.router.decide.thread_keys import thread_keys_of
from parvis.router.models.stored_rows import Conversation

# What is found of a sender: more than a question can list.
_NEAREST = 12

# Sorted by id, as every router does: two of them never wait for each other in a circle. A conversation comes once for each way in
# which it was found. `near`: where a sender wrote, or where something happened since to what they wrote.
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

# Who writes on a channel with a window is locked by their first row: of two routers only one may open their conversation.
_LOCK_SENDERS = text("""
    select from router.sender
    where contact_point_hash = any(cast(:hashes as text[])) and nth = 1
    order by contact_point_hash, channel for update
""")

_ASKED = text("""
    select q.sender_hash, q.channel, q.asked_at
    from router.question q
    join unnest(cast(:hashes as text[]), cast(:channels as text[])) as k (hash, channel)
        on q.sender_hash = k.hash and q.channel = k.channel
""")


@dataclass
class _Wanted:
    """What the contacts of a batch name, and who sent them."""

    tokens: set[UUID] = field(default_factory=set[UUID])
    references: set[str] = field(default_factory=set[str])
    marks: set[bytes] = field(default_factory=set[bytes])
    senders: set[str] = field(default_factory=set[str])
    since: dict[str, datetime] = field(default_factory=dict[str, datetime])

    def add(self, contact: ContactReceived, windows: ConversationWindows, key: bytes) -> None:
        if token := parse_uuid(contact.thread.conversation_id):
            self.tokens.add(token)
        sender = contact.contact_point_hash
        if sender is None:
            return
        quoted, marks, window = (
            quoted_reference(contact),
            thread_keys_of(contact, key),
            windows.window_of(contact.channel),
        )
        if quoted:
            self.references.add(quoted)
        self.marks.update(marks.answered_ids)
        if quoted or marks.answered_ids:
            self.senders.add(sender)
        if contact.channel == "email":
            if window and marks.subject:
                self.marks.add(marks.subject)
        elif window:
            begins = contact.received_at - window
            self.since[sender] = min(begins, self.since.get(sender, begins))

    @property
    def is_nothing(self) -> bool:
        return not (self.tokens or self.references or self.marks or self.since)


async def lock_candidates(
    connection: AsyncConnection,
    contacts: Iterable[ContactReceived],
    windows: ConversationWindows,
    key: bytes,
    *,
    candidates: Sequence[UUID] = (),
) -> KnownConversations:
    """Every conversation that one of the contacts might continue, its row locked until the transaction ends."""
    wanted, known = _Wanted(), KnownConversations()
    for contact in contacts:
        wanted.add(contact, windows, key)
    if wanted.is_nothing and not candidates:
        return known
    near = sorted(wanted.since)
    values = {
        "tokens": sorted(wanted.tokens),
        "references": sorted(wanted.references),
        "marks": sorted(wanted.marks),
        "senders": sorted(wanted.senders),
        "near": near,
        "since": [wanted.since[hash_] for hash_ in near],
        "candidates": sorted(set(candidates)),
    }
    rows = (await connection.execute(_FIND, values)).all()
    for row in rows:
        known.conversations.setdefault(row.id, Conversation(*row[:9]))
    # By age: what is learnt later of a mark, or of what follows, is the newer.
    for row in sorted(rows, key=_age):
        _learn(known, row)
    return known


async def read_last_questions(
    connection: AsyncConnection, known: KnownConversations, keys: Iterable[tuple[str, str]]
) -> None:
    """When those senders were asked last which conversation they mean."""
    pairs = sorted(set(keys))
    values = {"hashes": [pair[0] for pair in pairs], "channels": [pair[1] for pair in pairs]}
    for row in await connection.execute(_ASKED, values):
        known.asked_at[row.sender_hash, row.channel] = row.asked_at


def _age(row: Any) -> tuple[bool, datetime]:
    return (row.at is not None, row.at or row.opened_at)


def _learn(known: KnownConversations, row: Any) -> None:
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
