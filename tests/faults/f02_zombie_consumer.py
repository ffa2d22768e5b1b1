"""F-02: a paused router loses its partitions to another and then resumes as a zombie consumer."""

import asyncio

from tests.faults.oracle import Verdict
from tests.faults.router_testbed import SESSION_TIMEOUT_S, RouterTestbed
from tests.faults.scenario import RouterScenario


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    naps, per_second = (10, 200) if full else (1, 60)
    verdict = Verdict()
    refused = testbed.count_log_lines("offset-commit.refused")
    async with testbed.load(per_second=per_second) as contacts:
        await contacts.wait_until_sent(20)
        for nap in range(naps):
            sleeper = 1 + nap % 3
            testbed.routers.pause(sleeper)
            await asyncio.sleep(1.5 * SESSION_TIMEOUT_S)
            testbed.routers.resume(sleeper)
            await asyncio.sleep(1.0)
    await testbed.settle_and_check(verdict)
    verdict.figures |= {"naps": naps, "commits refused": testbed.count_log_lines("offset-commit.refused") - refused}
    return verdict


SCENARIO = RouterScenario(
    "F-02", "SIGSTOP of a router for 1.5 session timeouts, ten times, at 200 contacts/s", "I1 I2 I3 I7", run, "one"
)
