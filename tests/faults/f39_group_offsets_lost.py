"""F-39: the group's offsets are lost, and the routers read everything again from the beginning."""

from tests.faults.kafka_admin import delete_group
from tests.faults.oracle import Verdict, read_state
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    contacts_before, per_second = (6000, 200) if full else (60, 60)
    verdict = Verdict()
    async with testbed.load(per_second=per_second) as contacts:
        await contacts.wait_until_sent(contacts_before)
    await testbed.settle_and_check(verdict)
    before = await read_state(testbed.stack)
    await testbed.routers.stop_all()
    await delete_group(testbed.stack)
    await testbed.routers.start(1, 2, 3)
    state = await testbed.settle_and_check(verdict)
    _check_same_replies(
        verdict, {r.event_id: r.value for r in before.replies}, {r.event_id: r.value for r in state.replies}
    )
    again = len(state.routed) - len(before.routed)
    verdict.expect(
        before.decisions_by_contact == state.decisions_by_contact, "I2: a decision changed at the second reading"
    )
    verdict.expect(again > 0, "nothing was read again: the offsets were not deleted")
    verdict.figures["routed once more"] = again
    return verdict


def _check_same_replies(verdict: Verdict, before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """Check that replies are requested under the same ids with the same text, so that none is sent twice."""
    verdict.expect(before.keys() == after.keys(), f"I6: {len(before.keys() ^ after.keys())} replies more or less")
    differing = sum(after.get(event_id) != value for event_id, value in before.items())
    verdict.expect(differing == 0, f"I6: {differing} replies have another text the second time")


SCENARIO = RouterScenario(
    "F-39",
    "the consumer group is deleted after 6,000 contacts; all routers start again",
    "everything from the beginning; the same decisions, the same replies; I1 I2 I3",
    run,
    "one",
)
