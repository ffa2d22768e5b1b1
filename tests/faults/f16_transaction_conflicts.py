"""F-16: every twentieth transaction fails with a deadlock or a serialization failure at its commit."""

import asyncio

from sqlalchemy import text

from parvis.common.storage.postgres import Database
from tests.faults.oracle import Verdict
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario
from tests.patience import PATIENCE_S

_CREATE_CONFLICTS = (
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
    create trigger deadlock after insert on router.decision
    for each statement execute function public.conflict('{every}', '40P01')
    """,
    """
    create constraint trigger serialization after insert on router.decision
    deferrable initially deferred for each row execute function public.conflict('{every}', '40001')
    """,
)
_DROP_CONFLICTS = ("drop trigger deadlock on router.decision", "drop trigger serialization on router.decision")


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    seconds, per_second, every = (60, 200, 20) if full else (2, 60, 9)
    verdict, database = Verdict(), Database(testbed.stack.database_url, service="faults")
    try:
        before = await _rolled_back(database)
        async with testbed.load(per_second=per_second) as contacts:
            await _execute(database, _CREATE_CONFLICTS, every)
            await contacts.wait_until_sent(seconds * per_second // 2)
            async with asyncio.timeout(PATIENCE_S):
                while await _rolled_back(database) == before:
                    await asyncio.sleep(0.2)
            await _execute(database, _DROP_CONFLICTS, every)
        await testbed.settle_and_check(verdict)
        verdict.figures["transactions rolled back"] = await _rolled_back(database) - before
    finally:
        await database.close()
    verdict.expect(verdict.figures["transactions rolled back"] > 0, "no transaction failed: the fault was not injected")
    return verdict


async def _execute(database: Database, statements: tuple[str, ...], every: int) -> None:
    async with database.transaction() as connection:
        for statement in statements:
            await connection.execute(text(statement.replace("{every}", str(every))))


async def _rolled_back(database: Database) -> int:
    query = text(
        "select pg_stat_clear_snapshot(), xact_rollback from pg_stat_database where datname = current_database()"
    )
    async with database.transaction() as connection:
        return (await connection.execute(query)).one().xact_rollback


SCENARIO = RouterScenario(
    "F-16",
    "each twentieth insert of decisions ends in a deadlock or in a serialization failure at its commit, for a minute, at 200 contacts/s",
    "retried; I1 I2 I3 I7",
    run,
    "one",
)
