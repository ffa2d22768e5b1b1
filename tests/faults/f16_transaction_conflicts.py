"""F-16: every twentieth transaction fails with a deadlock or a serialization failure at its commit."""

import asyncio

from parvis.common.storage.postgres import Database
from tests.faults.database_conflicts import begin_conflicts, count_rolled_back, end_conflicts
from tests.faults.oracle import Verdict
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario
from tests.patience import PATIENCE_S

_TABLE = "router.decision"


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    seconds, per_second, every = (60, 200, 20) if full else (2, 60, 9)
    verdict, database = Verdict(), Database(testbed.stack.database_url, service="faults")
    try:
        before = await count_rolled_back(database)
        async with testbed.load(per_second=per_second) as contacts:
            await begin_conflicts(database, _TABLE, every=every)
            await contacts.wait_until_sent(seconds * per_second // 2)
            async with asyncio.timeout(PATIENCE_S):
                while await count_rolled_back(database) == before:
                    await asyncio.sleep(0.2)
            await end_conflicts(database, _TABLE)
        await testbed.settle_and_check(verdict)
        verdict.figures["transactions rolled back"] = await count_rolled_back(database) - before
    finally:
        await database.close()
    verdict.expect(verdict.figures["transactions rolled back"] > 0, "no transaction failed: the fault was not injected")
    return verdict


SCENARIO = RouterScenario(
    "F-16",
    "each twentieth insert of decisions ends in a deadlock or in a serialization failure at its commit, for a minute, at 200 contacts/s",
    "retried; I1 I2 I3 I7",
    run,
    "one",
)
