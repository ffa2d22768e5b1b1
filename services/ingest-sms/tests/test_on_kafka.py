"""The SMS door on the real Kafka: yes means that the record is there."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from twilio.request_validator import RequestValidator

from parvis.common.blobs import Blobs
from parvis.common.bus import Producer, Received
from parvis.common.bus.admin import apply, read_all
from parvis.common.contact import ContactReceived
from parvis.common.testing import A_KEY
from parvis.common.topics import CONTACT_RECEIVED, DELIVERY_REPORTED
from parvis.ingest_sms.parse import read_form
from parvis.ingest_sms.receive import Door, routes
from parvis.ingest_sms.verify import Signatures

pytestmark = pytest.mark.stack
PREFIX = "sms-door"
TOKEN, URL = "the town's token, for tests only", "https://town.example"
SAMPLES = Path(__file__).parents[1] / "samples"
REPLY = "9c6d1f0e-5a51-5c5e-8d1f-1f0e5a515c5e"


@asynccontextmanager
async def twilio(bootstrap: str, folder: Path) -> AsyncGenerator[httpx.AsyncClient]:
    producer = Producer(bootstrap, service="ingest-sms")
    door = Door(
        signatures=Signatures(URL, [TOKEN]),
        accounts=frozenset(["AC" + "0123456789abcdef" * 2]),
        blobs=Blobs(f"file://{folder}/blobs"),
        producer=producer,
        topic_prefix=PREFIX,
        hashing_key=A_KEY,
        largest_form_bytes=64 * 1024,
    )
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=routes(door)), base_url=URL) as http:
            yield http
    finally:
        await producer.stop()


async def post(http: httpx.AsyncClient, name: str, path: str = "/sms") -> int:
    body = (SAMPLES / f"{name}.form").read_bytes()
    signature = RequestValidator(TOKEN).compute_signature(f"{URL}{path}", dict(read_form(body)))
    return (await http.post(path, content=body, headers={"X-Twilio-Signature": signature})).status_code


async def read(kafka: str, topic: str) -> list[Received]:
    return [received async for received in read_all(kafka, [topic])]


async def test_messages_and_statuses_are_in_their_topics(kafka: str, tmp_path: Path) -> None:
    await apply(kafka, [CONTACT_RECEIVED, DELIVERY_REPORTED], prefix=PREFIX, replication=1)
    async with twilio(kafka, tmp_path) as http:
        for name in ("road-fr", "road-fr", "whatsapp", "short-code"):
            assert await post(http, name) == 200
        assert await post(http, "status-delivered", f"/sms/status?reply={REPLY}") == 204
    contacts = await read(kafka, CONTACT_RECEIVED.full_name(PREFIX))
    assert len(contacts) == 4
    assert len({received.event_id for received in contacts}) == 3
    for received in contacts:
        contact = received.event((ContactReceived,))
        assert isinstance(contact, ContactReceived)
        assert received.key.decode() == (contact.contact_point_hash or contact.contact_id)
    (report,) = await read(kafka, DELIVERY_REPORTED.full_name(PREFIX))
    assert report.key.decode() == REPLY


async def test_a_kafka_that_is_not_there_is_503(tmp_path: Path) -> None:
    async with twilio("127.0.0.1:1", tmp_path) as http:
        assert await post(http, "road-fr") == 503
        assert await post(http, "status-delivered", f"/sms/status?reply={REPLY}") == 503
