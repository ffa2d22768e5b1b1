"""F-52: an operator changes the role's password, then revokes a right, then renames a column, while contacts arrive."""

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.storage.postgres import Database
from tests.faults.oracle import Verdict
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario

_END_OTHERS = """
    select pg_terminate_backend(pid) from pg_stat_activity where usename = current_user and pid <> pg_backend_pid()
"""
# What is done, what mends it, and the words that the routers must log meanwhile.
_REVOKED = ("revoke insert on router.decision from current_user", "grant insert on router.decision to current_user")
_RENAMED = (
    "alter table router.decision rename column decided_at to decided_then",
    "alter table router.decision rename column decided_then to decided_at",
)


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    seconds, per_second = (60, 200) if full else (1, 60)
    verdict, database = Verdict(), Database(testbed.stack.database_url, service="operator")
    password = urlsplit(testbed.stack.database_url).password
    relogin = (
        f"alter role current_user password 'another'; {_END_OTHERS}",
        f"alter role current_user password '{password}'",
    )
    try:
        async with testbed.load(per_second=per_second, transfers_every_s=None), database.engine.connect() as connection:
            for (spoil, mend), words in (
                (relogin, "PostgreSQL refuses the login"),
                (_REVOKED, "lacks a right"),
                (_RENAMED, "the tables are missing or too old"),
            ):
                seen = testbed.count_log_lines(words)
                await _execute(connection, spoil.split(";"))
                is_seen = await testbed.wait_until(lambda: testbed.count_log_lines(words) > seen)  # noqa: B023
                await asyncio.sleep(seconds)
                await _execute(connection, [mend])
                verdict.expect(is_seen, f"no router said that {words}: the fault had no effect")
                await asyncio.to_thread(testbed.routers.not_ready)
                await testbed.routers.wait_ready()
        await testbed.settle_and_check(verdict)
    finally:
        await database.close()
    return verdict


async def _execute(connection: AsyncConnection, statements: Sequence[str]) -> None:
    for statement in statements:
        await connection.execute(text(statement))
    await connection.commit()


SCENARIO = RouterScenario(
    "F-52",
    "the password of the database role is changed, then a right is revoked, then a column is renamed, a minute each, at 200 contacts/s",
    "no dead letter; the routers say what to mend; all contacts arrive after it; I1 I2 I3 I7",
    run,
    "one",
)
