"""Multiplies the decisions in a router's database into millions."""

import time

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

SEEDED = 20_000  # decisions made by the router itself; the others are copies under other ids
_STEP = 500_000

_TABLES = """
    select c.table_name, c.column_name, c.data_type
    from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
    where c.table_schema = 'router' and t.table_type = 'BASE TABLE' and c.is_generated = 'NEVER'
    order by c.table_name, c.ordinal_position
"""
_CONSTRAINTS = """
    select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
    where connamespace = 'router'::regnamespace and contype in ('p', 'u', 'f') order by contype = 'f'
"""
_INDEXES = """
    select indexname, indexdef from pg_indexes i where schemaname = 'router'
    and not exists (select from pg_constraint c where c.conname = i.indexname and c.connamespace = 'router'::regnamespace)
"""


async def multiply(database: str, decisions: int) -> None:
    """Copy the rows of every table: ids of copies are derived from the originals' ids, so that references stay valid.

    The ids are scattered like real ones. Keys and indexes are dropped first and created again, which is ten times faster.
    """
    engine = create_async_engine(database, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            tables = await _tables(connection)
            indexes = (await connection.execute(text(_INDEXES))).all()
            constraints = (await connection.execute(text(_CONSTRAINTS))).all()
            for table, name, _ in reversed(constraints):  # foreign keys before the keys that they refer to
                await connection.execute(text(f"alter table {table} drop constraint {name}"))
            for name, _ in indexes:
                await connection.execute(text(f"drop index router.{name}"))
            for table, columns in tables.items():
                await _grow(connection, table, columns, decisions // SEEDED - 1)
            for table, name, definition in constraints:
                await connection.execute(text(f"alter table {table} add constraint {name} {definition}"))
            for _, definition in indexes:
                await connection.execute(text(definition))
            await connection.execute(text("vacuum analyze"))
    finally:
        await engine.dispose()


async def _tables(connection: AsyncConnection) -> dict[str, dict[str, str]]:
    tables: dict[str, dict[str, str]] = {}
    for table, column, kind in await connection.execute(text(_TABLES)):
        tables.setdefault(f"router.{table}", {})[column] = kind
    return tables


async def _grow(connection: AsyncConnection, table: str, columns: dict[str, str], copies: int) -> None:
    rows = int(await connection.scalar(text(f"select count(*) from {table}")) or 0)  # noqa: S608 (names from the catalogue)
    if not rows or not any(kind == "uuid" for kind in columns.values()):
        return
    began, at_once = time.monotonic(), max(1, _STEP // rows)
    await connection.execute(text(f"create temporary table original as table {table}"))
    names, values = ", ".join(columns), ", ".join(_copied_column(name, kind) for name, kind in columns.items())
    for first in range(1, copies + 1, at_once):
        numbers = f"generate_series({first}, {min(first + at_once - 1, copies)}) as number"
        await connection.execute(text(f"insert into {table} ({names}) select {values} from original, {numbers}"))  # noqa: S608
    await connection.execute(text("drop table original"))
    print(f"  {table}: {rows * (copies + 1)} rows in {time.monotonic() - began:.0f} s", flush=True)


def _copied_column(name: str, kind: str) -> str:
    """The expression for a column of a copy: ids and other unique values are derived from the original's, the rest is equal."""
    other = f"md5({name}::text || ':' || number)"
    if kind == "uuid":
        return f"{other}::uuid"
    if kind == "bytea":
        return f"decode({other}, 'hex')"
    if name == "reference":
        return f"'P-' || upper(left({other}, 14))"
    if name == "contact_point_hash":
        return f"'v1.' || left({other} || md5({name}), 40)"
    return name
