"""F-01: a router is killed in the middle of a batch, repeatedly, under load."""

import asyncio

from tests.faults.oracle import Verdict
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    kills, per_second, pause_s = (10, 200, 5.5) if full else (2, 60, 1.5)
    verdict = Verdict()
    async with testbed.load(per_second=per_second) as contacts:
        await contacts.wait_until_sent(20)
        for kill in range(kills):
            testbed.routers.kill(1 + kill % 3)
            await asyncio.sleep(pause_s)
    await testbed.settle_and_check(verdict)
    verdict.figures["kills"] = kills
    return verdict


SCENARIO = RouterScenario(
    "F-01", "kill -9 of a router mid-batch, ten times, at 200 contacts/s", "I1 I2 I3 I5 I7", run, "one"
)
