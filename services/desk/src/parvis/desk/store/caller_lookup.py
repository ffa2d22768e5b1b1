"""Finds the cases of who comes or calls, by the terms of their contacts: always by index look-ups that end after a thousand contacts."""

from collections.abc import Iterable

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import TSQUERY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.storage.postgres import Database
from parvis.desk.decide.caller_terms import TypedCaller, make_caller_terms, quote_terms
from parvis.desk.models.case import Case, CaseContactRecord
from parvis.desk.schema.case_tables import caller, case_file, contact
from parvis.desk.store.row_decoding import decode_all, decode_case, decode_contact

MAX_CASES = 8
_MAX_CONTACTS = 1000
_BATCH_ROWS = 500
_FIRST_ID = "00000000-0000-0000-0000-000000000000"


async def find_cases_of_caller(connection: AsyncConnection, found: TypedCaller, department: str | None) -> list[Case]:
    """The cases of the department, or of all (None), with a contact that fits: that of a typed reference first, then open ones, then by their last change."""
    if not found.query:
        return []
    fitting = select(caller.c.contact_id).where(caller.c.terms.op("@@")(literal(found.query).cast(TSQUERY)))
    contacts = list(await connection.scalars(fitting.limit(_MAX_CONTACTS)))
    # Two statements: in one, the plan depends on how many contacts PostgreSQL believes to fit, and may read all of them.
    conversations = select(contact.c.conversation_id).where(contact.c.contact_id.in_(contacts))
    cases = select(case_file).where(case_file.c.conversation_id.in_(conversations))
    if department is not None:
        cases = cases.where(case_file.c.department == department)
    ordered = cases.order_by(
        case_file.c.reference != found.reference, case_file.c.state == "closed", case_file.c.changed_at.desc()
    ).limit(MAX_CASES)
    sound, _ = decode_all(decode_case, (await connection.execute(ordered)).mappings())
    return list(sound)


async def index_callers(connection: AsyncConnection, records: Iterable[CaseContactRecord]) -> None:
    """Store the terms of new contacts; those that cannot be read are found by nothing."""
    opened, _ = decode_all(decode_contact, [record.__dict__ for record in records])
    rows = [
        {"contact_id": c.contact.contact_id, "terms": quote_terms(make_caller_terms(c.contact))}
        for c in sorted(opened, key=lambda c: c.contact.contact_id)
    ]
    if rows:
        await connection.execute(insert(caller).values(rows).on_conflict_do_nothing())


async def index_earlier_callers(database: Database) -> None:
    """Store the terms of contacts that are older than the table of terms, if there are any."""
    after: str | None = _FIRST_ID
    missing = ~select(caller.c.contact_id).where(caller.c.contact_id == contact.c.contact_id).exists()
    event = func.coalesce(contact.c.brief, contact.c.routed).label("routed")
    columns = [column for column in contact.c if column.name not in ("routed", "brief")]
    while after:
        async with database.transaction() as connection:
            query = select(*columns, event).where(contact.c.contact_id > after, missing)
            stored = (
                (await connection.execute(query.order_by(contact.c.contact_id).limit(_BATCH_ROWS))).mappings().all()
            )
            await index_callers(connection, [CaseContactRecord(**row) for row in stored])
            after = stored[-1]["contact_id"] if stored else None
