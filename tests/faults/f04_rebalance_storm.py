"""F-04: routers join, leave and die all the time, so that the group rebalances continually."""

import asyncio
import time

from tests.faults.oracle import Verdict, decided_between
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario

LEAST_SHARE = 0.2  # of what is written, decided during the rebalances


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    changes, per_second, pause_s = (12, 200, 5.0) if full else (3, 60, 1.5)
    verdict = Verdict()
    async with testbed.load(per_second=per_second) as contacts:
        await contacts.wait_until_sent(20)
        began, first = time.time(), contacts.sent
        for change in range(changes):
            number = 2 + change // 2 % 2
            if change % 2:
                testbed.routers.launch(number)
            elif change % 4:
                testbed.routers.remove(number)
            else:
                await testbed.routers.stop(number)
            await asyncio.sleep(pause_s)
        ended, written = time.time(), contacts.sent - first
    for number in {2, 3} - set(testbed.routers.numbers):
        testbed.routers.launch(number)
    state = await testbed.settle_and_check(verdict)
    decided = decided_between(state, contacts.attempts, began, ended)
    verdict.figures |= {"changes": changes, "decided meanwhile": decided, "sent meanwhile": written}
    if full:  # `make test` checks no rates
        verdict.expect(decided > LEAST_SHARE * written, f"{decided} of {written} contacts were decided meanwhile")
    return verdict


SCENARIO = RouterScenario(
    "F-04",
    "a router leaves or joins every 5 s, for a minute, at 200 contacts/s",
    "I1 I2 I3 I7; more than a fifth is decided meanwhile",
    run,
    "one",
)
