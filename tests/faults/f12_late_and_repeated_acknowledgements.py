"""F-12: Kafka's acknowledgements arrive late or twice, so that the producer retries what was written."""

import asyncio

from tests.faults.oracle import Verdict
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario

LATE_S = 5.5  # the producer's own time-out is 5 s


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    rounds, per_second, every = (10, 200, 10) if full else (1, 60, 4)
    verdict = Verdict()
    disturbed = testbed.kafka_proxy.disturbed_answers
    async with testbed.load(per_second=per_second) as contacts:
        await contacts.wait_until_sent(20)
        for _ in range(rounds):
            testbed.kafka_proxy.disturb_every, testbed.kafka_proxy.delay_s = every, LATE_S
            await asyncio.sleep(LATE_S if full else 1.0)
            testbed.kafka_proxy.delay_s, testbed.kafka_proxy.repeats_answers = 0.0, True
            await asyncio.sleep(LATE_S if full else 1.5)
            await testbed.wait_until(lambda: testbed.kafka_proxy.disturbed_answers > disturbed)
            testbed.kafka_proxy.restore()
    await testbed.settle_and_check(verdict)
    verdict.figures["answers late or twice"] = testbed.kafka_proxy.disturbed_answers - disturbed
    verdict.expect(
        testbed.kafka_proxy.disturbed_answers > disturbed, "no answer was late or repeated: the fault was not injected"
    )
    return verdict


SCENARIO = RouterScenario(
    "F-12",
    "each tenth answer to a produce is 5.5 s late or repeated, at 200 contacts/s",
    "I1 I2 I3 I7",
    run,
    "two",
)
