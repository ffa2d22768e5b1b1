"""F-15: PostgreSQL and all its backends are killed under load, and recover."""

import asyncio

from tests.faults.oracle import Verdict
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    kills, per_second = (10, 200) if full else (1, 60)
    verdict = Verdict()
    async with testbed.load(per_second=per_second) as contacts:
        for _ in range(kills):
            await contacts.wait_until_sent(per_second // 2)
            await asyncio.to_thread(testbed.stack.kill, "postgres")
            await asyncio.sleep(1.0)
            await asyncio.to_thread(testbed.stack.wait_ready, "postgres")
            await asyncio.sleep(5.0 if full else 0.5)
    await testbed.settle_and_check(verdict)
    verdict.figures["kills"] = kills
    return verdict


SCENARIO = RouterScenario("F-15", "kill -9 of PostgreSQL, ten times, at 200 contacts/s", "I1 I2 I3 I7", run, "one")
