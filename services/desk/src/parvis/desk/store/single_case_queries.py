"""Reads one case with all its records, and finds it by its reference."""

import asyncio
from typing import TypeVar

from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.errors import Poison
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database
from parvis.desk.decide.case_version import CaseVersion
from parvis.desk.models.case import (
    AgentReply,
    Case,
    CaseActionRecord,
    CaseFile,
    CaseRelation,
    CounterContact,
    DeliveryStatus,
    DepartmentMove,
    TransferRecord,
)
from parvis.desk.schema.case_tables import (
    act,
    case_file,
    contact,
    counter_contact,
    delivery,
    move,
    reply,
    step,
    transfer,
)
from parvis.desk.store.case_updates import read_contacts_and_damage
from parvis.desk.store.row_decoding import decode_all, decode_case, decoder

log = logger()
_MOST_COLLEAGUES = 200
Model = TypeVar("Model")


async def read_colleagues(connection: AsyncConnection, department: str) -> tuple[str, ...]:
    """The names of those who have a case of the department, each found by one look into the index."""
    table = case_file.c
    first = select(func.min(table.taken_by).label("name")).where(table.department == department).cte(recursive=True)
    after = select(func.min(table.taken_by)).where(table.department == department, table.taken_by > first.c.name)
    names = first.union_all(select(after.scalar_subquery()).where(first.c.name.is_not(None)))
    query = select(names.c.name).where(names.c.name.is_not(None)).limit(_MOST_COLLEAGUES)
    return tuple(await connection.scalars(query))


async def find_reference(connection: AsyncConnection, department: str, reference: str) -> str | None:
    """The department's conversation with this reference, its own or that of a later contact. None if there is none."""
    # Two look-ups: joined by `or`, they would be a scan of all cases.
    own = select(case_file.c.conversation_id).where(case_file.c.reference == reference)
    later = select(contact.c.conversation_id).where(contact.c.reference == reference)
    query = select(case_file.c.conversation_id).where(
        case_file.c.department == department, case_file.c.conversation_id.in_(own.union_all(later))
    )
    return await connection.scalar(query.limit(1))


async def read_case(connection: AsyncConnection, conversation: str) -> Case | None:
    """One case. None if it does not exist.

    Raises: DamagedCase.
    """
    query = select(case_file).where(case_file.c.conversation_id == conversation)
    row = (await connection.execute(query)).mappings().one_or_none()
    return decode_case(row) if row else None


async def read_case_version(connection: AsyncConnection, conversation: str) -> CaseVersion:
    """The version of a case; read before its records, so that it is never newer than what is shown."""
    tables = {
        "contacts": contact,
        "moves": move,
        "relations": step,
        "replies": reply,
        "transfers": transfer,
        "actions": act,
    }
    counts = [
        select(func.count())
        .select_from(table)
        .where(table.c.conversation_id == conversation)
        .scalar_subquery()
        .label(name)
        for name, table in tables.items()
    ]
    return CaseVersion(**(await connection.execute(select(*counts))).mappings().one())


async def read_linked_case(connection: AsyncConnection, conversation: str) -> Case | None:
    """A case that another one refers to. None also if it cannot be read: the other is shown without it."""
    try:
        return await read_case(connection, conversation)
    except Poison as error:
        log.error("case.unreadable", conversation_id=conversation, reason=str(error))  # noqa: TRY400 (the reason says it all)
        return None


async def read_case_file(connection: AsyncConnection, case: Case, *, is_brief: bool = False) -> CaseFile:
    """A case with all its records, contacts without their texts if `is_brief`; what cannot be read is counted and left out."""
    conversation = case.conversation_id
    contacts, damaged_contacts = await read_contacts_and_damage(connection, conversation, is_brief=is_brief)
    moves, damaged_moves = await _records(connection, conversation, move, DepartmentMove)
    relations, damaged_relations = await _records(connection, conversation, step, CaseRelation)
    replies, damaged_replies = await _records(connection, conversation, reply, AgentReply)
    deliveries, damaged_deliveries = await _records(connection, conversation, delivery, DeliveryStatus)
    transfers, damaged_transfers = await _records(connection, conversation, transfer, TransferRecord)
    actions, damaged_actions = await _records(connection, conversation, act, CaseActionRecord)
    return CaseFile(
        case=case,
        contacts=contacts,
        moves=moves,
        relations=relations,
        replies=replies,
        deliveries=deliveries,
        transfers=transfers,
        actions=actions,
        damaged=damaged_contacts
        + damaged_moves
        + damaged_relations
        + damaged_replies
        + damaged_deliveries
        + damaged_transfers
        + damaged_actions,
    )


async def _records(
    connection: AsyncConnection, conversation: str, table: Table, model: type[Model]
) -> tuple[tuple[Model, ...], int]:
    query = select(table).where(table.c.conversation_id == conversation)
    return decode_all(decoder(model), (await connection.execute(query)).mappings())


async def read_counter_contact(connection: AsyncConnection, department: str, seed: str) -> CounterContact | None:
    """The contact that this department registered under an idempotency key. None if there is none."""
    query = select(counter_contact).where(counter_contact.c.department == department, counter_contact.c.seed == seed)
    row = (await connection.execute(query)).mappings().one_or_none()
    return CounterContact(**row) if row else None


async def read_receipt(connection: AsyncConnection, department: str, reference: str) -> CounterContact | None:
    """The contact that this department registered under a reference. None if there is none."""
    query = select(counter_contact).where(
        counter_contact.c.reference == reference, counter_contact.c.department == department
    )
    row = (await connection.execute(query)).mappings().first()
    return CounterContact(**row) if row else None


async def check_database(database: Database) -> None:
    """Raise Unavailable when PostgreSQL does not answer, or our tables do not exist yet."""
    async with asyncio.timeout(5), database.transaction() as connection:
        await connection.execute(select(case_file.c.conversation_id).limit(0))
