"""F-18: the router dies between Kafka's acknowledgement of what it produced and the commit of its offsets."""

from tests.faults.kafka_proxy import COMMIT
from tests.faults.oracle import Verdict
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario

REFUSED = "offset-commit.refused"


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    crashes = 100 if full else 2
    verdict = Verdict()
    refused = testbed.count_log_lines(REFUSED)
    async with testbed.citizens(senders=7) as contacts:
        for crash in range(crashes):
            # One record at a time, while the router is idle: a crash repeats one record, not a batch.
            await testbed.wait_until_idle()
            killed = testbed.kill_router_at(COMMIT)
            await contacts.send([contacts.next_contact()])
            verdict.expect(await testbed.wait_until(killed.is_set), f"no router committed at crash {crash}")
    await testbed.settle_and_check(verdict)
    doubles = verdict.figures["doubles on department topics"]
    # A router that hangs for longer than its session loses its partitions: its commit is refused, its record repeated.
    refused = testbed.count_log_lines(REFUSED) - refused
    verdict.figures |= {"crashes": crashes, "refused commits": refused}
    verdict.expect(
        doubles <= crashes + refused, f"{doubles} doubles after {crashes} crashes, {refused} commits refused"
    )
    verdict.expect(doubles > 0, "no double: the crash came at the wrong moment")
    return verdict


SCENARIO = RouterScenario(
    "F-18",
    "crash between produce and offset commit, 100 times",
    "I1 I2 I3 I7; doubles ≤ crashes and refused commits",
    run,
    "two",
)
