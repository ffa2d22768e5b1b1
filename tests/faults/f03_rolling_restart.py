"""F-03: a rolling restart stops and starts every router in turn, under load."""

from tests.faults.oracle import Verdict, longest_wait_s
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario

LONGEST_WAIT_S = 15.0


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    deploys, per_second = (3, 200) if full else (1, 60)
    numbers = testbed.routers.numbers if full else testbed.routers.numbers[:2]
    verdict, longest_stop_s = Verdict(), 0.0
    async with testbed.load(per_second=per_second) as contacts:
        await contacts.wait_until_sent(20)
        for _ in range(deploys):
            for number in numbers:
                longest_stop_s = max(longest_stop_s, await testbed.routers.stop(number))
                await testbed.routers.start(number)
    state = await testbed.settle_and_check(verdict)
    waited_s = longest_wait_s(state, contacts.attempts)
    verdict.figures |= {"restarts": deploys * len(numbers), "longest stop ms": int(longest_stop_s * 1000)}
    verdict.figures["longest wait ms"] = int(waited_s * 1000)
    verdict.expect_within(longest_stop_s, 10, "a router needed to stop", full=full)
    verdict.expect_within(waited_s, LONGEST_WAIT_S, "a contact waited for its decision", full=full)
    return verdict


SCENARIO = RouterScenario(
    "F-03",
    "three routers restarted one by one, three times, at 200 contacts/s",
    "I1 I2 I3 I7; no contact waits 15 s",
    run,
    "one",
)
