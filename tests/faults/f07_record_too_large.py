"""F-07: contacts exceed a department topic's max.message.bytes; then records are deleted while the producer runs.

A batch that the broker refuses leaves a gap in aiokafka's sequence, which fails every later one of that partition (#1017).
"""

import asyncio
import json

from parvis.common.bus.admin import apply_topics
from parvis.common.contract import topics
from parvis.common.contract.contact import ContactPersonalData, ContactReceived
from tests.faults.contact_load import ContactLoad
from tests.faults.kafka_admin import delete_records, set_max_record_bytes
from tests.faults.oracle import Verdict, read_state
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario

_TRIAGE = topics.department_topic("triage")
_LETTER = "Une question sans rapport avec rien. "


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    rounds, per_second = (20, 200) if full else (2, 60)
    verdict, large = Verdict(), list[ContactReceived]()
    replaced = testbed.count_log_lines("producer.replaced")
    # No transfers: one could move a large contact to a department whose topic accepts it.
    async with testbed.load(per_second=per_second, transfers_every_s=None) as contacts:
        await contacts.wait_until_sent(20)
        await set_max_record_bytes(testbed.stack, _TRIAGE.full_name(testbed.prefix), 20_000)
        for number in range(2 * rounds):
            large.append(_build_large_contact(contacts, number))
            testbed.expected_dead_letters.add(large[-1].contact_id)
            await contacts.send([large[-1]])
            if number % 2 == 0:
                continue
            await contacts.wait_until_sent(per_second // 2)
        await _delete_routed_records(testbed)
        await contacts.wait_until_sent(per_second // 2)
    state = await testbed.settle_and_check(verdict)
    expected, dead = {contact.contact_id for contact in large}, testbed.dead_letters_of(state, contacts)
    verdict.expect(dead == expected, f"{len(dead)} contacts are dead letters; {len(expected)} were too large")
    verdict.figures |= {"refused by the broker": len(expected), "dead letters": len(dead)}
    verdict.figures["producers replaced"] = testbed.count_log_lines("producer.replaced") - replaced
    await apply_topics(testbed.stack.kafka, [_TRIAGE], prefix=testbed.prefix, replication=1)
    await _replay_dead_letters(testbed, large, verdict)
    return verdict


def _build_large_contact(contacts: ContactLoad, number: int) -> ContactReceived:
    """Build a contact of one of two citizens who send nothing else, so that their order can be checked."""
    plain = contacts.build_contact(1_000_000 + number)
    words = ContactPersonalData.model_validate({"from": plain.personal.from_, "text": _LETTER * 800})
    return contacts.build_contact(1_000_000 + number, personal=words, contact_point_hash=f"{number % 2:064x}")


async def _delete_routed_records(testbed: RouterTestbed) -> None:
    """Delete all records of the department topics, but keep a copy for the check of the invariants."""
    testbed.deleted_records = state = (await read_state(testbed.stack)).with_records_of(testbed.deleted_records)
    before: dict[tuple[str, int], int] = {}
    for received in state.routed:
        partition = received.topic, received.partition
        before[partition] = max(before.get(partition, 0), received.offset + 1)
    await delete_records(testbed.stack, before)


async def _replay_dead_letters(testbed: RouterTestbed, large: list[ContactReceived], verdict: Verdict) -> None:
    """Replay the dead letters: each reaches, in order, the department that was decided before. A second replay does nothing."""
    command = ("dead-letters", "replay", "router", "--reason", "refused")
    outputs = [await asyncio.to_thread(testbed.stack.run_parvis, *command) for _ in range(2)]
    verdict.expect(
        outputs[0].stdout.startswith(f"{len(large)} dead letters"), f"replay: {outputs[0].stdout}{outputs[0].stderr}"
    )
    verdict.expect("replayed before" in outputs[1].stderr, f"the second replay was not refused: {outputs[1].stdout}")
    state = await testbed.settle_and_check(verdict)
    expected: dict[str, str | None] = {contact.contact_id: contact.contact_point_hash for contact in large}
    replayed: dict[str | None, dict[int, None]] = {}  # a second copy does not change the order
    for received in sorted(state.routed, key=lambda received: (received.partition, received.offset)):
        if received.event_id in expected:
            sequence = json.loads(received.value)["routing"]["sequence"]
            replayed.setdefault(expected[received.event_id], {}).setdefault(sequence)
    verdict.expect(sum(map(len, replayed.values())) == len(large), f"{replayed} of {len(large)} contacts were replayed")
    verdict.expect(
        all(list(sequences) == sorted(sequences) for sequences in replayed.values()),
        f"replayed in the order {replayed}",
    )


SCENARIO = RouterScenario(
    "F-07",
    "40 records that the broker refuses, amid other records of their partitions; DeleteRecords; then `dead-letters replay`, twice",
    "only those are dead letters; the producer replaces itself; I1 I2 I3 I7",
    run,
    "two",
)
