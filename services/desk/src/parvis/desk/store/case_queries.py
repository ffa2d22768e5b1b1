"""Reads the queue of a department, and one case with all its records."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import RowMapping, Table, and_, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.errors import Poison
from parvis.common.runtime.logs import logger
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
from parvis.desk.store.case_updates import read_contacts_and_damage
from parvis.desk.store.row_decoding import decode_all, decode_case, decoder

log = logger()
Model = TypeVar("Model")

# (urgency, due, received, id) for open cases, (changed, id) for waiting and closed ones.
QueueCursor = tuple[int, datetime, datetime, str] | tuple[datetime, str]


@dataclass(frozen=True)
class QueueRow:
    case: Case
    is_leaving: bool  # a transfer was requested and is not decided yet


@dataclass(frozen=True)
class QueuePage:
    """One page of a queue.

    Gives: after, the cursor of the next page, None at the end; damaged, the references of cases that cannot be shown.
    """

    rows: tuple[QueueRow, ...]
    after: QueueCursor | None
    damaged: tuple[str, ...] = ()


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
    rows = (await connection.execute(query.limit(limit + 1))).mappings().all()
    sound: list[QueueRow] = []
    damaged: list[str] = []
    for row in rows[:limit]:
        try:
            case = decode_case({name: value for name, value in row.items() if name != "is_leaving"})
            sound.append(QueueRow(case, row["is_leaving"]))
        except Poison as error:
            log.error("case.unreadable", conversation_id=row["conversation_id"], reason=str(error))  # noqa: TRY400 (the reason says it all)
            damaged.append(row["reference"])
    after = _cursor(rows[limit - 1], show) if len(rows) > limit else None
    return QueuePage(tuple(sound), after, tuple(damaged))


def _cursor(row: RowMapping, show: str) -> QueueCursor:
    if show in ("open", "mine"):
        return (row["urgency"], row["answer_due_at"], row["received_at"], row["conversation_id"])
    return (row["changed_at"], row["conversation_id"])


async def count_cases(connection: AsyncConnection, agent: Agent) -> dict[str, int]:
    """The number of cases in each of the agent's lists."""
    mine = func.count().filter(and_(case_file.c.taken_by == agent.name, case_file.c.state != "closed"))
    per_state = {
        state: func.count().filter(case_file.c.state == state).label(state) for state in ("open", "waiting", "closed")
    }
    query = select(mine.label("mine"), *per_state.values()).where(case_file.c.department == agent.department)
    row = (await connection.execute(query)).mappings().one()
    return {name: row[name] for name in ("open", "mine", "waiting", "closed")}


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
    actions, damaged_actions = await _records(connection, conversation, act, CaseAction)
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


async def check_database(database: Database) -> None:
    """Raise Unavailable when PostgreSQL does not answer, or our tables do not exist yet."""
    async with asyncio.timeout(5), database.transaction() as connection:
        await connection.execute(select(case_file.c.conversation_id).limit(0))
