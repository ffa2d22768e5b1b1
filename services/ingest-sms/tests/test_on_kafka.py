"""Facts about the webhooks on the real Kafka: a 200 means that the record is there."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from parvis.common.bus.admin import apply_topics
from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.bus.producer import Producer
from parvis.common.bus.topic_reader import event_ids_since, read_all_records
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.topics import CONTACT_RECEIVED, DELIVERY_REPORTED, PREFERENCE_CHANGED

pytestmark = pytest.mark.stack
PREFIX = "sms-door"
REPLY = "9c6d1f0e-5a51-5c5e-8d1f-1f0e5a515c5e"


@pytest.fixture
async def town(kafka: str, make: Any) -> AsyncGenerator[Any]:
    producer = Producer(kafka, service="ingest-sms")
    yield make(producer=producer, prefix=PREFIX)
    await producer.stop()


async def read(kafka: str, topic: str) -> list[ReceivedRecord]:
    return [received async for received in read_all_records(kafka, [topic])]


async def test_messages_and_statuses_are_in_their_topics(kafka: str, town: Any) -> None:
    await apply_topics(kafka, [CONTACT_RECEIVED, DELIVERY_REPORTED, PREFERENCE_CHANGED], prefix=PREFIX, replication=1)
    for name in ("road-fr", "road-fr", "whatsapp", "short-code"):
        assert (await town.send(name)).status_code == 200
    assert (await town.write("STOP", "SM" + "5" * 32)).status_code == 200
    assert (await town.send("status-delivered", path=f"/sms/status?reply={REPLY}")).status_code == 204
    contacts = await read(kafka, CONTACT_RECEIVED.full_name(PREFIX))
    assert len(contacts) == 4
    assert len({received.event_id for received in contacts}) == 3
    for received in contacts:
        contact = received.event((ContactReceived,))
        assert isinstance(contact, ContactReceived)
        assert received.key.decode() == (contact.contact_point_hash or contact.contact_id)
    (report,) = await read(kafka, DELIVERY_REPORTED.full_name(PREFIX))
    assert report.key.decode() == REPLY
    (stopped,) = await read(kafka, PREFERENCE_CHANGED.full_name(PREFIX))
    since = datetime.now(UTC) - timedelta(minutes=1)
    topics = [topic.full_name(PREFIX) for topic in (CONTACT_RECEIVED, PREFERENCE_CHANGED)]
    assert await event_ids_since(kafka, topics, since) == {r.event_id for r in [*contacts, stopped]}
    assert await event_ids_since(kafka, topics, since + timedelta(hours=1)) == set()


async def test_a_missing_kafka_is_503(make: Any) -> None:
    producer = Producer("127.0.0.1:1", service="ingest-sms")
    twilio = make(producer=producer)
    assert (await twilio.send("road-fr")).status_code == 503
    assert (await twilio.send("status-delivered", path=f"/sms/status?reply={REPLY}")).status_code == 503
    await producer.stop()
