"""Reads what the search page shows of the messages that were found."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.desk.models.case import AgentReply, Case, CaseActionRecord, CaseContact
from parvis.desk.schema.case_tables import act, case_file, reply
from parvis.desk.store.case_updates import read_whole_contacts
from parvis.desk.store.row_decoding import decode_all, decode_readable_case, decoder
from parvis.desk.store.search_queries import SearchResult


@dataclass(frozen=True)
class FoundRecords:
    """The cases, contacts, replies and notes of a search result, by id."""

    cases: dict[str, Case] = field(default_factory=dict[str, Case])
    contacts: dict[str, CaseContact] = field(default_factory=dict[str, CaseContact])
    replies: dict[str, AgentReply] = field(default_factory=dict[str, AgentReply])
    notes: dict[str, CaseActionRecord] = field(default_factory=dict[str, CaseActionRecord])


async def read_found_records(connection: AsyncConnection, result: SearchResult) -> FoundRecords:
    """The records of a search result; what cannot be read is logged and left out."""
    by_kind: dict[str, list[str]] = {"contact": [], "reply": [], "note": []}
    for hit in (*result.hits, *(person.latest for person in result.people)):
        by_kind[hit.kind].append(hit.entry_id)
    conversations = {hit.conversation_id for hit in result.hits} | set(result.references)
    replies, _ = decode_all(
        decoder(AgentReply), await _rows(connection, select(reply).where(reply.c.reply_id.in_(by_kind["reply"])))
    )
    notes, _ = decode_all(
        decoder(CaseActionRecord), await _rows(connection, select(act).where(act.c.act_id.in_(by_kind["note"])))
    )
    return FoundRecords(
        cases=await read_cases(connection, conversations),
        contacts=await read_whole_contacts(connection, by_kind["contact"]),
        replies={found.reply_id: found for found in replies},
        notes={found.act_id: found for found in notes},
    )


async def read_cases(connection: AsyncConnection, conversations: Iterable[str]) -> dict[str, Case]:
    """These cases by conversation; damaged ones are logged and left out."""
    query = select(case_file).where(case_file.c.conversation_id.in_(list(conversations)))
    decoded = map(decode_readable_case, await _rows(connection, query))
    return {case.conversation_id: case for case in decoded if case}


async def _rows(connection: AsyncConnection, query: Select[*tuple[object, ...]]):
    return (await connection.execute(query)).mappings().all()
