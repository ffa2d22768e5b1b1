"""Reads how agents corrected the texts of letters, wherever a split has put the letter since."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.desk.models.case import CaseActionRecord, CaseContact
from parvis.desk.schema.case_tables import act, case_file, contact
from parvis.desk.store.row_decoding import decode_all, decode_contact

_KIND = "text_corrected"


@dataclass(frozen=True)
class CorrectedText:
    """A letter's text as an agent read it, and the department that deals with it."""

    text: str
    department: str
    language: str | None


async def read_corrections(connection: AsyncConnection, letters: Sequence[CaseContact]) -> dict[str, CaseActionRecord]:
    """The latest correction of each of these letters, by contact id."""
    if not letters:
        return {}
    ids = [opened.contact.contact_id for opened in letters]
    query = select(act).where(act.c.contact_id.in_(ids), act.c.kind == _KIND).order_by(act.c.at, act.c.act_id)
    rows = (await connection.execute(query)).mappings()
    return {row["contact_id"]: CaseActionRecord(**row) for row in rows}


async def read_corrected_texts(connection: AsyncConnection) -> AsyncGenerator[CorrectedText]:
    """Every corrected letter, the latest correction of each, with the department that has its case now."""
    query = (
        select(act.c.text, case_file.c.department, contact.c.conversation_id, contact.c.sequence, contact.c.routed)
        .ext(distinct_on(act.c.contact_id))
        .join(contact, contact.c.contact_id == act.c.contact_id)
        .join(case_file, case_file.c.conversation_id == contact.c.conversation_id)
        .where(act.c.contact_id.is_not(None), act.c.kind == _KIND)
        .order_by(act.c.contact_id, act.c.at.desc(), act.c.act_id.desc())
    )
    rows = await connection.stream(query)
    async for row in rows.mappings():
        decoded, _ = decode_all(decode_contact, [row])
        language = decoded[0].contact.language if decoded else None
        yield CorrectedText(row["text"], row["department"], language)
