"""Keeps the search index in step with the cases, in the transaction that changes them, and rebuilds it."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Table, delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.storage.postgres import Database
from parvis.common.town.models import TownConfig
from parvis.desk.decide.search_terms import (
    NOTE_KINDS,
    SearchEntry,
    describe_contact,
    describe_note,
    describe_reply,
)
from parvis.desk.models.case import AgentReply, CaseActionRecord, CaseContactRecord, CaseRow
from parvis.desk.schema.case_tables import act, contact, reply, search_entry
from parvis.desk.store.row_decoding import decode_all, decode_contact, decoder

_REBUILD_ROWS = 500
_FIRST_ID = "00000000-0000-0000-0000-000000000000"
_SOURCES: tuple[tuple[Table, str, type[CaseContactRecord | AgentReply | CaseActionRecord]], ...] = (
    (contact, "contact_id", CaseContactRecord),
    (reply, "reply_id", AgentReply),
    (act, "act_id", CaseActionRecord),
)

_UPSERT = text(
    """
    insert into desk.search_entry (entry_id, conversation_id, kind, department, sender, at, terms)
    select cast(:entry_id as uuid), f.conversation_id, :kind, f.department, :sender, cast(:at as timestamptz),
           strip(to_tsvector('pg_catalog.french', cast(:words as text)))
           || strip(to_tsvector(cast(cast(:stemmer as text) as regconfig), cast(:words as text)))
           || array_to_tsvector(cast(:terms as text[]) || ('d:' || f.department))
    from desk.case_file f where f.conversation_id = cast(:conversation_id as uuid)
    on conflict (entry_id) do update set
        conversation_id = excluded.conversation_id, department = excluded.department,
        sender = excluded.sender, at = excluded.at, terms = excluded.terms
    """
)
_FOLLOW_CONTACTS = text(
    """
    update desk.search_entry s set conversation_id = c.conversation_id from desk.contact c
    where s.conversation_id = any(cast(:conversations as uuid[]))
      and c.contact_id = s.entry_id and c.conversation_id <> s.conversation_id
    """
)
_FOLLOW_DEPARTMENTS = text(
    """
    update desk.search_entry s set department = f.department,
        terms = ts_delete(s.terms, 'd:' || s.department) || array_to_tsvector(array['d:' || f.department])
    from desk.case_file f
    where s.conversation_id = any(cast(:conversations as uuid[]))
      and f.conversation_id = s.conversation_id and f.department <> s.department
    """
)


async def index_rows(
    connection: AsyncConnection,
    rows: Sequence[CaseRow],
    conversations: Iterable[str],
    town_config: TownConfig | None = None,
) -> None:
    """Index the new messages among these rows; all messages of the conversations follow their case and its department.

    Shape: `town_config` where there may be contacts: it names their procedure and formats their answers.
    Order: after the cases were updated and contacts were moved, in the same transaction.
    """
    await _write(connection, [entry for row in rows for entry in _describe(row, town_config)])
    parameters = {"conversations": sorted(set(conversations))}
    if parameters["conversations"]:
        await connection.execute(_FOLLOW_CONTACTS, parameters)
        await connection.execute(_FOLLOW_DEPARTMENTS, parameters)


async def remove_entry(connection: AsyncConnection, entry_id: str) -> None:
    """Remove a message that is found no more, as a withdrawn answer."""
    await connection.execute(delete(search_entry).where(search_entry.c.entry_id == entry_id))


async def rebuild_index(database: Database, town_config: TownConfig) -> int:
    """Index every stored message anew. Gives the number of entries.

    Retry: idempotent; the desk may run meanwhile, and what it writes stays.
    """
    count = 0
    for table, key, model in _SOURCES:
        after: str | None = _FIRST_ID
        while after:
            async with database.transaction() as connection:
                query = select(table).where(table.c[key] > after).order_by(table.c[key]).limit(_REBUILD_ROWS)
                stored = (await connection.execute(query.with_for_update(read=True))).mappings().all()
                if model is CaseContactRecord:
                    stored = [{name: value for name, value in row.items() if name != "brief"} for row in stored]
                rows, _ = decode_all(decoder(model), stored)
                entries = [entry for row in rows for entry in _describe(row, town_config)]
                await _write(connection, entries)
            count += len(entries)
            after = stored[-1][key] if stored else None
    return count


def _describe(row: CaseRow, town_config: TownConfig | None) -> list[SearchEntry]:
    """The entry of a row; none if it holds no message, or one that cannot be read."""
    match row:
        case CaseContactRecord() if town_config is not None:
            contacts, _ = decode_all(decode_contact, [row.__dict__])
            return [describe_contact(opened, row.conversation_id, town_config) for opened in contacts]
        case AgentReply() if row.withdrawn_at is None:
            return [describe_reply(row)]
        case CaseActionRecord() if row.kind in NOTE_KINDS:
            return [describe_note(row)]
        case _:
            return []


async def _write(connection: AsyncConnection, entries: Iterable[SearchEntry]) -> None:
    rows = [
        {
            "entry_id": entry.entry_id, "conversation_id": entry.conversation_id, "kind": entry.kind,
            "sender": entry.sender, "at": entry.at, "words": entry.words, "terms": sorted(entry.terms),
            "stemmer": "pg_catalog.french" if entry.is_french else "pg_catalog.english",
        }
        for entry in sorted(entries, key=lambda entry: entry.entry_id)
    ]  # fmt: skip
    if rows:
        await connection.execute(_UPSERT, rows)
