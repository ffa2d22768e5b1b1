"""F-21: ingest services newer than the router send CloudEvents 1.1 with unknown members and headers."""

import asyncio
import json

from parvis.common.bus.cloudevents import Record
from tests.faults.contact_load import ContactLoad
from tests.faults.oracle import Verdict
from tests.faults.router_testbed import RouterTestbed
from tests.faults.scenario import RouterScenario

_HEADERS = (("ce_specversion", b"1.1"), ("ce_sequencetype", b"Integer"), ("ce_dataschema", b"urn:parvis:contact:9"))


async def run(testbed: RouterTestbed, full: bool) -> Verdict:
    seconds, per_second = (60, 200) if full else (1, 60)
    verdict, newer = Verdict(), dict[str, bytes]()
    async with testbed.load(per_second=per_second) as contacts:
        for number in range(seconds * 10):
            record = _build_newer_record(contacts, number, newer)
            await contacts.send_records([record])
            await asyncio.sleep(0.1)
    state = await testbed.settle_and_check(verdict)
    routed = {received.event_id: received.value for received in state.routed}
    missing = [event_id for event_id in newer if event_id not in routed]
    verdict.expect(not missing, f"{len(missing)} contacts of newer services are not routed")
    changed = [id_ for id_, value in newer.items() if id_ in routed and not routed[id_].endswith(b"," + _member(value))]
    verdict.expect(not changed, f"{len(changed)} contacts of newer services were changed")
    verdict.figures["contacts of newer services"] = len(newer)
    return verdict


def _member(value: bytes) -> bytes:
    return b'"contact":' + value + b"}"


def _build_newer_record(contacts: ContactLoad, number: int, newer: dict[str, bytes]) -> Record:
    contact = contacts.build_contact(3_000_000 + number, channel="web")
    record = contacts.build_record(contact)
    value = json.loads(record.value) | {"mood": {"guess": "worried", "of": [1, 2.5, None]}, "schema_version": 9}
    value["personal"]["pronouns"], value["thread"]["ancestors"] = "elle", ["a", "b"]
    newer[contact.contact_id] = json.dumps(value, ensure_ascii=False, indent=1).encode()
    old = tuple(header for header in record.headers if header[0] != "ce_specversion")
    return Record(record.topic, record.key, newer[contact.contact_id], (*old, *_HEADERS))


SCENARIO = RouterScenario(
    "F-21",
    "600 contacts of newer ingest services (specversion 1.1, unknown members and headers) amid 200 contacts/s",
    "routed with their bytes unchanged; I1 I2",
    run,
    "two",
)
