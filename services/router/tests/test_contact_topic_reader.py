"""Tests that a record which is no contact stops no command over contacts, on the real Kafka."""

import pytest

from parvis.common.bus.admin import apply_topics
from parvis.common.bus.cloudevents import Record, build_record
from parvis.common.bus.producer import Producer
from parvis.common.contract import topics
from parvis.common.testing import a_contact
from parvis.router.commands.contact_topic_reader import read_contacts

TOPIC = topics.CONTACT_RECEIVED.full_name("commands")


@pytest.mark.stack
async def test_a_record_that_is_no_contact_hides_no_other(kafka: str, capsys: pytest.CaptureFixture[str]) -> None:
    await apply_topics(kafka, [topics.CONTACT_RECEIVED], prefix="commands", replication=1)
    producer = Producer(kafka, service="test")
    before, after = (a_contact(key=key) for key in ("before", "after"))
    for number, contact in enumerate((before, after)):
        await producer.send(build_record(contact, topic=TOPIC, key="k", event_id=f"event-{number}", source="test"))
        await producer.send(Record(TOPIC, b"k", b"from another tool", ()))
        await producer.send(Record(TOPIC, b"k", b"", (("ce_type", b"contact.received"),)))
    await producer.stop()

    read = [contact.contact_id async for contact in read_contacts(kafka, TOPIC)]

    assert read == [before.contact_id, after.contact_id]
    assert "4 records" in capsys.readouterr().err
