"""Reads a conversation's decisions, and moves references to the conversation that a split created. The caller owns the transaction."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.errors import Poison
from parvis.common.contract.references import make_reference
from parvis.router.decide.conversation_history import (
    MOST_CONTACTS,
    ConversationHistory,
    build_history,
    contacts_brought_by_split,
)
from parvis.router.decide.conversation_working_set import parse_uuid
from parvis.router.decide.split_conversation import ConversationSplitResult
from parvis.router.models.stored_rows import DecisionRow
from parvis.router.store.conversations import record_senders
from parvis.router.store.decisions import build_decision_row

_STEPS = text("""
    select id, kind, conversation_id, sequence, opens, value, decided_at, came
    from router.step where conversation_id = :id and kind <> 'contact'
    order by sequence desc limit 1000
""")

_CONTACTS = text("""
    select id, kind, conversation_id, sequence, opens, value, decided_at, came
    from router.step where conversation_id = :id and kind = 'contact'
    order by sequence desc limit :most
""")

_COUNT = text("""
    select count(*) from router.step where conversation_id = :id and kind = 'contact'
""")

_THESE = text("""
    select id, kind, conversation_id, sequence, opens, value, decided_at, came
    from router.decision where id = any(cast(:ids as uuid[]))
""")

_NAMED = text("""
    select reference, conversation_id from router.alias where reference = any(cast(:references as text[]))
""")

_NAME = text("""
    insert into router.alias (reference, conversation_id, contact_id) values (:reference, :conversation, :contact)
    on conflict do nothing
""")

# A conversation keeps its own reference even if its first contact is split off.
_RENAME = text("""
    update router.alias set conversation_id = :conversation
    where reference = any(cast(:references as text[])) and contact_id = any(cast(:contacts as uuid[])) and reference <> :original
""")


async def read_history(connection: AsyncConnection, conversation: UUID) -> ConversationHistory:
    """The conversation so far: its newest contacts and all its steps. Raises: Poison, when one of its rows is unreadable."""
    steps = await _decisions(connection, _STEPS, {"id": conversation})
    values = {"id": conversation, "most": MOST_CONTACTS}
    contacts = await _decisions(connection, _CONTACTS, values)
    count = len(contacts)
    if count == MOST_CONTACTS:
        count = await connection.scalar(_COUNT, {"id": conversation}) or count
    try:
        brought = [key for contact in contacts_brought_by_split(steps) if (key := parse_uuid(contact))]
        moved_in = await _decisions(connection, _THESE, {"ids": brought}) if brought else []
        return build_history(steps, contacts, moved_in, left_out=count - len(contacts))
    except ValueError as error:
        raise Poison(f"the history of conversation {conversation} is unreadable") from error


async def find_by_references(connection: AsyncConnection, references: Sequence[str]) -> dict[str, UUID]:
    """The conversations that these references name."""
    rows = await connection.execute(_NAMED, {"references": sorted(references)}) if references else ()
    return {row.reference: row.conversation_id for row in rows}


async def reassign_references(
    connection: AsyncConnection, split: ConversationSplitResult, *, original_reference: str, seed: UUID
) -> None:
    """Point the new conversation's reference, its contacts' references and their senders to it."""
    made, contacts = split.new, [UUID(contact.contact_id) for contact in split.contacts]
    await connection.execute(_NAME, {"reference": made.reference, "conversation": made.id, "contact": seed})
    references = sorted(make_reference(contact.contact_id) for contact in split.contacts)
    await connection.execute(
        _RENAME,
        {"conversation": made.id, "references": references, "contacts": contacts, "original": original_reference},
    )
    await record_senders(
        connection, {(sender, channel, made.id): made.last_contact_at for sender, channel in split.senders}
    )


async def _decisions(connection: AsyncConnection, query: TextClause, values: Mapping[str, object]) -> list[DecisionRow]:
    return [build_decision_row(row) for row in (await connection.execute(query, values)).mappings()]
