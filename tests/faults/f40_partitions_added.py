"""F-40: contact.received doubles its partitions under load; half of the keys move, and every citizen's order is kept."""

import asyncio

from parvis.common.bus.admin import partition_count
from parvis.common.contract.topics import CONTACT_RECEIVED
from tests.faults.oracle import Verdict, longest_wait_s
from tests.faults.router_testbed import METADATA_AGE_S, RouterTestbed
from tests.faults.scenario import RouterScenario


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    seconds, per_second = (30, 200) if full else (1, 80)
    verdict, topic = Verdict(), CONTACT_RECEIVED.full_name(testbed.prefix)
    before = await partition_count(testbed.stack.kafka, topic)
    growths_noticed, growths_opened = (
        testbed.count_log_lines("new-partitions.detected"),
        testbed.count_log_lines("new-partitions.activated"),
    )
    async with testbed.load(per_second=per_second, senders=20) as contacts:
        await contacts.wait_until_sent(seconds * per_second)
        partitions = f"{CONTACT_RECEIVED.name}={2 * before}"
        result = await asyncio.to_thread(testbed.stack.run_parvis, "topics", "apply", "--partitions", partitions)
        verdict.expect(result.returncode == 0, f"topics apply: {result.stderr}")
        # The paused routers resume with a backlog from before and after the growth, where order could break.
        for number in testbed.routers.numbers:
            testbed.routers.pause(number)
        await asyncio.sleep(METADATA_AGE_S + 0.5)
        for number in testbed.routers.numbers:
            testbed.routers.resume(number)
        await testbed.wait_until(lambda: testbed.count_log_lines("new-partitions.detected") > growths_noticed)
        testbed.routers.kill(testbed.routers.numbers[0])  # its successor continues from the stored row
        await asyncio.sleep(seconds)
        await testbed.wait_until(lambda: testbed.count_log_lines("new-partitions.activated") > growths_opened)
        await contacts.wait_until_sent(seconds * per_second // 2)
    state = await testbed.settle_and_check(verdict)
    moved = {received.key for received in state.received if received.partition >= before}
    after = await partition_count(testbed.stack.kafka, topic)
    verdict.figures |= {"partitions": after, "keys that moved": len(moved)}
    verdict.figures["longest wait ms"] = int(longest_wait_s(state, contacts.attempts) * 1000)
    verdict.expect(after == 2 * before, f"{after} partitions, not {2 * before}")
    verdict.expect(bool(moved), "no key moved: the fault was not injected")
    verdict.expect(
        testbed.count_log_lines("new-partitions.activated") > growths_opened, "the new partitions were never opened"
    )
    return verdict


SCENARIO = RouterScenario(
    "F-40",
    "contact.received grows from 12 to 24 partitions, half of the keys move, a router is killed meanwhile, 200 contacts/s",
    "each citizen's contacts are decided in order; I1 I2 I3 I7",
    run,
    "two",
)
