"""F-17: PostgreSQL commits, and the connection breaks before the router learns of it."""

import asyncio

from tests.faults.oracle import Verdict
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    cuts, per_second = (50, 200) if full else (4, 60)
    verdict, before = Verdict(), testbed.postgres_proxy.cuts
    async with testbed.load(per_second=per_second) as contacts:
        await contacts.wait_until_sent(20)
        for _ in range(cuts // 2):
            testbed.postgres_proxy.cut_after_commits = 2
            await testbed.wait_until(lambda: not testbed.postgres_proxy.cut_after_commits)
            await asyncio.sleep(0.5)
    await testbed.settle_and_check(verdict)
    verdict.figures["hidden commits"] = testbed.postgres_proxy.cuts - before
    verdict.expect(
        testbed.postgres_proxy.cuts - before == cuts,
        f"{testbed.postgres_proxy.cuts - before} of {cuts} commits were hidden",
    )
    return verdict


SCENARIO = RouterScenario(
    "F-17",
    "the connection breaks after a commit and before its answer, 50 times",
    "the outcome is read again by id; I1 I2 I3 I7",
    run,
    "two",
)
