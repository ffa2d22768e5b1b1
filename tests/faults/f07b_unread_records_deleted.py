"""F-07b: retention deletes records before the routers have read them; the routers exit and name the records instead of skipping them."""

from parvis.common.bus.cloudevents import ReceivedRecord
from tests.faults.contact_load import ContactLoad
from tests.faults.kafka_admin import commit_offsets, delete_records
from tests.faults.oracle import Verdict, read_state
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario
from tests.faults.service_processes import MISCONFIGURED
from tests.patience import PATIENCE_S


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    per_second = 200 if full else 60
    verdict = Verdict()
    await testbed.routers.stop_all()
    # Each citizen writes once: restored records come after later ones, which must not count as a broken order.
    async with testbed.load(per_second=per_second, senders=15_000, transfers_every_s=None) as contacts:
        await contacts.wait_until_sent(60 * per_second if full else 60)
    lost = await _delete_unread_records(testbed, contacts)
    testbed.routers.launch(1)
    code = await testbed.routers.exit_code(1, seconds=PATIENCE_S)
    verdict.expect(code == MISCONFIGURED, f"a router that misses records exited with {code}")
    # Which of them it meets first, and whether the group had committed an offset there, is chance: so is the sentence.
    named = [testbed.routers.count_log_lines(1, f"{topic}[{partition}]") for topic, partition in _partitions(lost)]
    verdict.expect(any(named), "it did not name the missing records")
    verdict.figures["records lost"] = len(lost)
    # The operator restores the records (in production from the blob store) and commits the offsets.
    await contacts.send_again(lost)
    await contacts.stop()
    starts = dict.fromkeys(_partitions(lost), 0)
    for received in lost:
        partition = received.topic, received.partition
        starts[partition] = max(starts[partition], received.offset + 1)
    await commit_offsets(testbed.stack, starts)
    await testbed.routers.start(1, 2, 3)
    await testbed.settle_and_check(verdict, expected_exits=1)
    return verdict


def _partitions(records: list[ReceivedRecord]) -> set[tuple[str, int]]:
    return {(received.topic, received.partition) for received in records}


async def _delete_unread_records(testbed: RouterTestbed, contacts: ContactLoad) -> list[ReceivedRecord]:
    """Delete the older half of the unread records of each partition, as retention would."""
    state = await read_state(testbed.stack)
    mine = {attempt.contact_id for attempt in contacts.attempts}
    unread: dict[tuple[str, int], list[ReceivedRecord]] = {}
    for received in state.received:
        if received.event_id in mine:
            unread.setdefault((received.topic, received.partition), []).append(received)
    lost = {partition: records[: (len(records) + 1) // 2] for partition, records in unread.items()}
    await delete_records(testbed.stack, {partition: records[-1].offset + 1 for partition, records in lost.items()})
    gone = [received for records in lost.values() for received in records]
    places = {(received.partition, received.offset) for received in gone}
    state.received = [received for received in state.received if (received.partition, received.offset) not in places]
    testbed.deleted_records = state.with_records_of(testbed.deleted_records)  # including records that had been read
    return gone


SCENARIO = RouterScenario(
    "F-07b",
    "retention deletes records that the routers, stopped for a minute, have not read",
    "exit 78 that names them, none skipped; after they are restored I1 I2 I7",
    run,
    "two",
)
