"""Compares the cases with those that were rebuilt from the topics beside them, and mends what differs."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, MetaData, Table, and_, case, exists, func, or_, select, text, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.desk.schema.case_tables import (
    METADATA,
    SCHEMA,
    act,
    caller,
    case_file,
    contact,
    delivery,
    move,
    placement,
    step,
)

REBUILT = f"{SCHEMA}_rebuilt"
# What a case has from the topics. Its state, its agent, its snooze, its procedure and whether an answer came back depend
# on what agents did, which the database alone knows.
_FROM_TOPICS = (
    "reference", "department", "department_sequence", "channel", "subject", "snippet", "citizen", "contacts", "urgency", "received_at",
    "receipt_due_at", "answer_due_at", "escalate_at", "silence_at", "silence_means", "competent_at", "tags",
)  # fmt: skip
_CORRECTED_BY = {"urgency": ("urgency_corrected",), "tags": ("tagged", "untagged")}
_HISTORY = (contact, placement, move, step)
# Everything in the other tables comes from the topics.
_COLUMNS = {case_file: _FROM_TOPICS} | {
    table: tuple(column.name for column in table.columns if not column.primary_key)
    for table in (*_HISTORY, caller, delivery)
}


@dataclass(frozen=True)
class Difference:
    """A table that differs from the rebuilt one: rows that it lacks, and by column the rows that say something else."""

    table: str
    missing: int
    differing: dict[str, int]


async def create_rebuilt_tables(connection: AsyncConnection) -> None:
    """Create empty tables beside the real ones, with the agents' acts, which say what was confirmed."""
    await drop_rebuilt_tables(connection)
    await connection.execute(text(f"create schema {REBUILT}"))
    for table in METADATA.sorted_tables:
        await connection.execute(text(f"create table {REBUILT}.{table.name} (like {table.fullname} including all)"))
    await connection.execute(_rebuilt(act).insert().from_select(list(act.columns.keys()), select(act)))


async def drop_rebuilt_tables(connection: AsyncConnection) -> None:
    await connection.execute(text(f"drop schema if exists {REBUILT} cascade"))


async def count_older_cases(connection: AsyncConnection) -> int:
    """The number of cases with a record that the topics no longer have: they stay as they are."""
    return await connection.scalar(select(func.count()).select_from(_older_cases().subquery())) or 0


async def find_differences(connection: AsyncConnection) -> list[Difference]:
    """What differs between the cases and the rebuilt ones, without those that are older than the topics."""
    found = [await _difference(connection, table) for table in _COLUMNS]
    return [one for one in found if one.missing or one.differing]


async def mend_differences(connection: AsyncConnection) -> None:
    """Give the rows that differ what the rebuilt ones say. Missing rows are inserted by the projection itself."""
    for table, columns in _COLUMNS.items():
        values = {name: _expected(table, name) for name in columns}
        differs = or_(*(table.c[name].is_distinct_from(value) for name, value in values.items()))
        await connection.execute(update(table).where(_same_row(table), _is_whole(table), differs).values(values))


async def _difference(connection: AsyncConnection, table: Table) -> Difference:
    rebuilt, key = _rebuilt(table), next(iter(table.primary_key.columns))
    differs = {name: table.c[name].is_distinct_from(_expected(table, name)) for name in _COLUMNS[table]}
    counts = [func.count().filter(condition).label(name) for name, condition in differs.items()]
    joined = rebuilt.join(table, _same_row(table))
    row = (await connection.execute(select(*counts).select_from(joined).where(_is_whole(table)))).mappings().one()
    lacking = rebuilt.outerjoin(table, _same_row(table))
    missing = await connection.scalar(select(func.count()).select_from(lacking).where(key.is_(None))) or 0
    return Difference(table.name, missing, {name: count for name, count in row.items() if count})


def _expected(table: Table, name: str) -> ColumnElement[Any]:
    """What the topics say of a column. What an agent corrected stays."""
    rebuilt = _rebuilt(table).c[name]
    if table is not case_file or name not in _CORRECTED_BY:
        return rebuilt
    corrected = exists().where(
        act.c.conversation_id == case_file.c.conversation_id, act.c.kind.in_(_CORRECTED_BY[name])
    )
    return case((corrected, case_file.c[name]), else_=rebuilt)


def _rebuilt(table: Table) -> Table:
    return _REBUILT_TABLES[table.name]


_METADATA = MetaData(schema=REBUILT)
_REBUILT_TABLES = {table.name: table.to_metadata(_METADATA, schema=REBUILT) for table in (*_COLUMNS, act)}


def _same_row(table: Table) -> ColumnElement[bool]:
    return and_(*(column == _rebuilt(table).c[column.name] for column in table.primary_key.columns))


def _is_whole(table: Table) -> ColumnElement[bool]:
    """Whether the topics still have everything about the case of a row."""
    if table is caller:  # its terms are those of its contact alone
        return caller.c.contact_id.is_not(None)
    return table.c.conversation_id.not_in(_older_cases())


def _older_cases() -> Any:
    """The conversations with a record that is not among the rebuilt ones."""
    return union(
        *(
            select(table.c.conversation_id).where(~exists().where(_same_row(table)).correlate(table))
            for table in _HISTORY
        )
    )
