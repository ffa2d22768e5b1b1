"""F-20: every fiftieth record is poison: invalid JSON, an unknown version or type, too large, nested too deeply, or without an id."""

import asyncio
from collections.abc import Generator

from parvis.common.bus.admin import apply_topics
from parvis.common.bus.cloudevents import Record
from parvis.common.contract import topics
from tests.faults.contact_load import ContactLoad
from tests.faults.kafka_admin import set_max_record_bytes
from tests.faults.oracle import Verdict, longest_wait_s
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario

LONGEST_STALL_S = 5.0


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    seconds, per_second, every = (60, 200, 50) if full else (3, 60, 30)
    verdict, poison = Verdict(), dict[str, bytes]()
    await set_max_record_bytes(testbed.stack, topics.CONTACT_RECEIVED.full_name(testbed.prefix), 1_000_000)
    async with testbed.load(per_second=per_second) as contacts:
        records = _poison_records(contacts)
        for _ in range(seconds * per_second // every):
            event_id, record = next(records)
            poison[event_id] = record.value
            await contacts.send_records([record])
            await asyncio.sleep(every / per_second)
    await apply_topics(testbed.stack.kafka, [topics.CONTACT_RECEIVED], prefix=testbed.prefix, replication=1)
    state = await testbed.settle_and_check(verdict)
    dead = {letter.event_id: letter.value for letter in state.dead_letters if letter.event_id in poison}
    verdict.expect(dead == poison, f"{len(poison)} poison records, but {len(dead)} dead letters with the same bytes")
    waited_s = longest_wait_s(state, contacts.attempts)
    verdict.figures |= {"poison records": len(poison), "longest wait ms": int(waited_s * 1000)}
    verdict.expect_within(waited_s, LONGEST_STALL_S, "a contact waited", full=full)
    return verdict


def _poison_records(contacts: ContactLoad) -> Generator[tuple[str, Record]]:
    """Yield poison records of each kind in turn, under the keys of citizens who also send valid ones."""
    number = 0
    while True:
        for spoil in (_no_json, _another_version, _far_too_large, _nested, _unknown_type, _no_id):
            number += 1
            contact = contacts.build_contact(2_000_000 + number, channel="web")
            yield contact.contact_id, spoil(contacts.build_record(contact))


def _no_json(record: Record) -> Record:
    return Record(record.topic, record.key, record.value[:-20] + b"\xff\x00{", record.headers)


def _another_version(record: Record) -> Record:
    return _with_header(record, "ce_specversion", b"2.0")


def _far_too_large(record: Record) -> Record:
    return Record(record.topic, record.key, b'{"contact_id": "' + b"x" * 900_000 + b'"}', record.headers)


def _nested(record: Record) -> Record:
    return Record(record.topic, record.key, b'{"personal": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", record.headers)


def _unknown_type(record: Record) -> Record:
    return _with_header(record, "ce_type", b"contact.received.anew")


def _no_id(record: Record) -> Record:
    value = record.value.replace(b'"contact_id":"', b'"contact_id":"no id ')
    return Record(record.topic, record.key, value, record.headers)


def _with_header(record: Record, name: str, value: bytes) -> Record:
    headers = tuple((key, value if key == name else old) for key, old in record.headers)
    return Record(record.topic, record.key, record.value, headers)


SCENARIO = RouterScenario(
    "F-20",
    "each fiftieth record is poison of six kinds, up to 900 KB, for a minute, at 200 contacts/s",
    "dead letters with their bytes; no contact waits 5 s; I1 I2 I3",
    run,
    "two",
)
