"""F-54: one department's topic is deleted, contacts for it keep coming, and `parvis topics apply` creates it again."""

import asyncio
from pathlib import Path

from msgspec.structs import replace

from parvis.common.bus.admin import apply_topics
from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract import topics
from parvis.common.town.loading import load_town_config
from tests.faults.kafka_admin import delete_topic
from tests.faults.oracle import SystemState, Verdict, read_state
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario

DEPARTMENT = topics.department_topic("voirie")


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    seconds, per_second = (60, 200) if full else (1, 60)
    verdict, parked = Verdict(), testbed.count_log_lines("department-topic.missing")
    name = DEPARTMENT.full_name(testbed.prefix)
    await testbed.wait_until_idle()
    await _delete_department(testbed, name)
    async with testbed.load(per_second=per_second) as contacts:
        is_parked = await testbed.wait_until(lambda: testbed.count_log_lines("department-topic.missing") > parked)
        later = len(contacts.attempts)
        await contacts.wait_until_sent(later + seconds * per_second)
    await testbed.wait_until_idle()  # the missing topic holds nothing on contact.received
    sent = {attempt.contact_id for attempt in contacts.attempts[later:]}
    flowed = sent & await _routed_elsewhere(testbed)
    await apply_topics(testbed.stack.kafka, [DEPARTMENT], prefix=testbed.prefix, replication=1)
    state = await testbed.settle_and_check(verdict)
    arrived = sum(received.topic == name and received.offset >= 0 for received in state.routed)
    verdict.figures |= {"routed while missing": len(flowed), "arrived after": arrived}
    verdict.expect(is_parked, "nothing was parked: the deletion had no effect")
    verdict.expect(bool(flowed), "no contact of another department was routed while the topic was missing")
    verdict.expect(arrived > 0, "nothing arrived on the topic after it existed again")
    return verdict


async def _routed_elsewhere(testbed: RouterTestbed) -> set[str]:
    """The contacts on the other departments' topics."""
    departments = load_town_config(Path(testbed.stack.env["PARVIS_CONFIG_DIR"])).departments
    others = [topics.department_topic(slug) for slug in departments]
    names = [topic.full_name(testbed.prefix) for topic in others if topic != DEPARTMENT]
    return {received.event_id async for received in read_all_records(testbed.stack.kafka, names)}


async def _delete_department(testbed: RouterTestbed, name: str) -> None:
    """Delete the topic; its records are kept for the invariants, with offsets that no new record has."""
    state = await read_state(testbed.stack)
    gone = [_before_all(received) for received in state.routed if received.topic == name]
    testbed.deleted_records = SystemState(routed=gone).with_records_of(testbed.deleted_records)
    await delete_topic(testbed.stack, name)
    await asyncio.sleep(2)  # until the routers' metadata, a second old at most, have forgotten it


def _before_all(received: ReceivedRecord) -> ReceivedRecord:
    return replace(received, offset=-1 - received.offset)


SCENARIO = RouterScenario(
    "F-54",
    "the topic of one department is deleted, and created again by `parvis topics apply`, at 200 contacts/s",
    "the others' contacts and requests flow, its own arrive afterwards; no dead letter; I1 I2 I3 I7",
    run,
    "one",
)
