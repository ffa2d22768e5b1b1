"""Inserts contacts that open conversations: one statement, one round trip, one transaction a batch."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg
import msgspec

from parvis.router.store.decisions import ConcurrentUpdate


class NewConversation(msgspec.Struct, frozen=True, gc=False):
    """The rows of a contact that opens a conversation: its decision, the conversation, its reference and sender."""

    id: str
    conversation_id: str
    reference: str
    department: str
    procedure: str | None
    received_at: datetime
    value: str
    source: str
    contact_point_hash: str | None
    channel: str
    subject: bytes | None
    marks: tuple[bytes, ...]


# Ids are passed as text: asyncpg would parse each into a UUID first, 2 µs here instead of 0.2 in PostgreSQL.
# Known: contacts decided before, and senders who may continue a conversation. They take the general path.
# The inserts run from the last to the first (ExecPostprocessPlan), so that decisions come first, by id, as everywhere:
# a second router with the same contacts waits at the first of them, before it holds any other lock.
# `alias` holds references, `mark` the keys of threads, `came` where the contact came from.
_OPEN = """
    with candidates as materialized (
        select *, exists (select from router.decision d where d.id = n.id)
            or (channel = any($13::text[]) and exists (
                select from router.sender s where s.contact_point_hash = n.contact_point_hash
            ))
            or exists (select from router.mark m where m.mark = n.subject) as is_known
        from (
            select u.*, u.id_text::uuid as id, u.conversation_text::uuid as conversation_id, 1 + coalesce((
                select max(s.nth) from router.sender s where s.contact_point_hash = u.contact_point_hash and s.channel = u.channel
            ), 0) as nth
            from unnest(
                $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::text[],
                $9::text[], $10::text[], $11::bytea[]
            ) as u (
                id_text, conversation_text, reference, department, procedure, received_at, value, came, contact_point_hash,
                channel, subject
            )
        ) n
        order by id
    ), fresh as materialized (
        select * from candidates where not is_known
    ), wrote as (
        insert into router.sender (contact_point_hash, channel, nth, conversation_id, last_contact_at)
        select contact_point_hash, channel, nth, conversation_id, received_at
        from fresh where contact_point_hash is not null order by 1, 2
    ), marked as (
        insert into router.mark (mark, conversation_id, seen_at)
        select m.mark, f.conversation_id, f.received_at
        from unnest($14::bytea[], $15::text[]) as m (mark, id_text) join fresh f using (id_text) order by 1, 2
    ), named as (
        insert into router.alias (reference, conversation_id, contact_id)
        select reference, conversation_id, id from fresh
    ), opened as (
        insert into router.conversation (
            id, opened_by, reference, department, sequence, procedure, opened_at, last_contact_at
        )
        select conversation_id, id, reference, department, 1, procedure, received_at, received_at from fresh
    ), decided as (
        insert into router.decision (id, kind, conversation_id, sequence, opens, value, decided_at, came)
        select id, 'contact', conversation_id, 1, true, value, $12, came from fresh
    )
    select id::text from candidates where is_known
"""


async def insert_new_conversations(
    connection: asyncpg.Connection, openings: Sequence[NewConversation], sender_channels: Sequence[str], *, at: datetime
) -> set[str]:
    """Store contacts that open a conversation; returns the ids of the known ones, for which nothing is stored.

    Needs:  each id once, each sender once. `sender_channels`: the channels on which a sender may continue an earlier conversation,
            whatever its channel.
    Raises: ConcurrentUpdate, when another router stored one of them first, or a reference belongs to another contact;
            nothing is stored then.
    """
    values = [[getattr(opening, name) for opening in openings] for name in NewConversation.__struct_fields__[:-1]]
    marks = [(mark, opening.id) for opening in openings for mark in dict.fromkeys(opening.marks)]
    try:
        rows = await connection.fetch(
            _OPEN, *values, at, sender_channels, [mark for mark, _ in marks], [id_ for _, id_ in marks]
        )
    except asyncpg.UniqueViolationError as error:
        raise ConcurrentUpdate("a contact was decided by another router") from error
    return {row[0] for row in rows}
