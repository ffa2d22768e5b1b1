"""F-19: the router dies after its decisions are committed and before their first record reaches Kafka."""

import asyncio

from tests.faults.contact_load import ContactLoad
from tests.faults.kafka_proxy import PRODUCE
from tests.faults.oracle import Verdict, read_state
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    crashes, per_second = (50, 200) if full else (2, 60)
    verdict = Verdict()

    async with testbed.load(per_second=per_second) as contacts:
        await contacts.wait_until_sent(20)
        for crash in range(crashes):
            killed = testbed.kill_router_at(PRODUCE)
            verdict.expect(await testbed.wait_until(killed.is_set), f"no router produced at crash {crash}")
            if crash == 0:
                await _check_unpublished_decisions(testbed, contacts, verdict)
            await asyncio.sleep(1.0)
    testbed.kafka_proxy.restore()
    await testbed.settle_and_check(verdict)
    verdict.figures["crashes"] = crashes
    return verdict


async def _check_unpublished_decisions(testbed: RouterTestbed, contacts: ContactLoad, verdict: Verdict) -> None:
    """Check that the crash came at the right moment: a decision without its record."""
    state = await read_state(testbed.stack)
    published = {received.event_id for received in state.routed}
    unpublished = [row for row in state.contact_decisions if row not in published]
    verdict.figures["decided and not published at a crash"] = len(unpublished)
    verdict.expect(bool(unpublished), "every decision was published: the crash came at the wrong moment")


SCENARIO = RouterScenario(
    "F-19",
    "crash between PostgreSQL's commit and the produce, 50 times, at 200 contacts/s",
    "the department of the decision gets the contact; I1 I2 I3 I7",
    run,
    "two",
)
