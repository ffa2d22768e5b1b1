"""The queue of a department, and one case with all that stands in it, out."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Table, and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.storage.postgres import Database
from parvis.desk.models.case import (
    QUEUE_PAGE_SIZE,
    Agent,
    AgentReply,
    Case,
    CaseAction,
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
from parvis.desk.store.case_updates import read_contacts

Kind = TypeVar("Kind")

# The key of a queue's row: (urgency, due, received, id) where work is waiting, (changed, id) where it is done.
QueueCursor = tuple[int, datetime, datetime, str] | tuple[datetime, str]


@dataclass(frozen=True)
class QueueRow:
    case: Case
    is_leaving: bool  # a transfer was asked for and not yet decided


@dataclass(frozen=True)
class QueuePage:
    """One page of a queue; `after` is the key to go on from, none at the end."""

    rows: tuple[QueueRow, ...]
    after: QueueCursor | None


async def read_queue(
    connection: AsyncConnection,
    agent: Agent,
    show: str,
    *,
    tag: str | None = None,
    after: QueueCursor | None = None,
    limit: int = QUEUE_PAGE_SIZE,
) -> QueuePage:
    """Cases of the agent's department: `open`, `mine`, `waiting` or `closed`; only those with the tag, where one is given.

    Order: most urgent, then soonest due; waiting and closed ones by their last change, newest first.
    """
    table = case_file.c
    leaving = select(transfer.c.transfer_id).where(
        transfer.c.conversation_id == table.conversation_id, transfer.c.outcome == "pending"
    )
    query = select(case_file, leaving.exists().label("is_leaving")).where(table.department == agent.department)
    if show == "mine":
        query = query.where(table.taken_by == agent.name, table.state != "closed")
    else:
        query = query.where(table.state == show)
    if tag:
        query = query.where(table.tags.contains([tag]))
    if show in ("open", "mine"):
        key = (table.urgency, table.answer_due_at, table.received_at, table.conversation_id)
        query = query.order_by(*key)
        beyond = tuple_(*key) > after if after and len(after) == len(key) else None
    else:
        key = (table.changed_at, table.conversation_id)
        query = query.order_by(table.changed_at.desc(), table.conversation_id.desc())
        beyond = tuple_(*key) < after if after and len(after) == len(key) else None
    if beyond is not None:
        query = query.where(beyond)
    found = (await connection.execute(query.limit(limit + 1))).mappings().all()
    rows = [QueueRow(Case(**{n: v for n, v in row.items() if n != "is_leaving"}), row["is_leaving"]) for row in found]
    rest = _key(rows[limit - 1].case, show) if len(rows) > limit else None
    return QueuePage(tuple(rows[:limit]), rest)


def _key(case: Case, show: str) -> QueueCursor:
    if show in ("open", "mine"):
        return (case.urgency, case.answer_due_at, case.received_at, case.conversation_id)
    return (case.changed_at, case.conversation_id)


async def count_cases(connection: AsyncConnection, agent: Agent) -> dict[str, int]:
    """How many cases each list of the agent has."""
    mine = func.count().filter(and_(case_file.c.taken_by == agent.name, case_file.c.state != "closed"))
    per_state = {
        state: func.count().filter(case_file.c.state == state).label(state) for state in ("open", "waiting", "closed")
    }
    query = select(mine.label("mine"), *per_state.values()).where(case_file.c.department == agent.department)
    row = (await connection.execute(query)).mappings().one()
    return {name: row[name] for name in ("open", "mine", "waiting", "closed")}


async def find_reference(connection: AsyncConnection, department: str, reference: str) -> str | None:
    """The conversation of this department that has the reference, its own or that of a later contact."""
    aliases = select(contact.c.conversation_id).where(contact.c.reference == reference)
    query = select(case_file.c.conversation_id).where(
        case_file.c.department == department,
        or_(case_file.c.reference == reference, case_file.c.conversation_id.in_(aliases)),
    )
    return await connection.scalar(query.limit(1))


async def read_case(connection: AsyncConnection, conversation: str) -> Case | None:
    query = select(case_file).where(case_file.c.conversation_id == conversation)
    row = (await connection.execute(query)).mappings().one_or_none()
    return Case(**row) if row else None


async def read_case_file(connection: AsyncConnection, case: Case) -> CaseFile:
    """A case with all that stands in it."""
    conversation = case.conversation_id

    return CaseFile(
        case=case,
        contacts=await read_contacts(connection, conversation),
        moves=await _rows(connection, conversation, move, DepartmentMove),
        relations=await _rows(connection, conversation, step, CaseRelation),
        replies=await _rows(connection, conversation, reply, AgentReply),
        deliveries=await _rows(connection, conversation, delivery, DeliveryStatus),
        transfers=await _rows(connection, conversation, transfer, TransferRecord),
        actions=await _rows(connection, conversation, act, CaseAction),
    )


async def _rows(connection: AsyncConnection, conversation: str, table: Table, kind: type[Kind]) -> tuple[Kind, ...]:
    query = select(table).where(table.c.conversation_id == conversation)
    return tuple(kind(**row) for row in (await connection.execute(query)).mappings())


async def read_counter_contact(connection: AsyncConnection, seed: str) -> CounterContact | None:
    query = select(counter_contact).where(counter_contact.c.seed == seed)
    row = (await connection.execute(query)).mappings().one_or_none()
    return CounterContact(**row) if row else None


async def check_database(database: Database) -> None:
    """Raise Unavailable when PostgreSQL does not answer, or has not our tables yet."""
    async with asyncio.timeout(5), database.transaction() as connection:
        await connection.execute(select(case_file.c.conversation_id).limit(0))
