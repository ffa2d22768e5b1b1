"""Makes each nth transaction that inserts into a table fail, as concurrent ones do: with a deadlock, or at its commit."""

from sqlalchemy import text

from parvis.common.storage.postgres import Database

_CREATE = (
    "create sequence if not exists public.conflicts",
    """
    create or replace function public.conflict() returns trigger language plpgsql as $$
    begin
        if nextval('public.conflicts') % tg_argv[0]::int = 0 then
            raise exception 'raised by a fault scenario' using errcode = tg_argv[1];
        end if;
        return null;
    end $$
    """,
    """
    create trigger deadlock after insert on {table}
    for each statement execute function public.conflict('{every}', '40P01')
    """,
    """
    create constraint trigger serialization after insert on {table}
    deferrable initially deferred for each row execute function public.conflict('{every}', '40001')
    """,
)
_DROP = ("drop trigger deadlock on {table}", "drop trigger serialization on {table}")


async def begin_conflicts(database: Database, table: str, *, every: int) -> None:
    await _execute(database, _CREATE, table, every)


async def end_conflicts(database: Database, table: str) -> None:
    await _execute(database, _DROP, table)


async def count_rolled_back(database: Database) -> int:
    """The transactions of this database that were rolled back since it exists."""
    query = text(
        "select pg_stat_clear_snapshot(), xact_rollback from pg_stat_database where datname = current_database()"
    )
    async with database.transaction() as connection:
        return (await connection.execute(query)).one().xact_rollback


async def _execute(database: Database, statements: tuple[str, ...], table: str, every: int = 0) -> None:
    async with database.transaction() as connection:
        for statement in statements:
            await connection.execute(text(statement.replace("{every}", str(every)).replace("{table}", table)))
