"""Facts about the reconciler, on the real Kafka and the Twilio simulator."""

import base64
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from parvis.common.bus.admin import apply_topics
from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.bus.producer import Producer
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.contact import ContactReceived, make_contact_id
from parvis.common.contract.errors import Unavailable
from parvis.common.contract.topics import CONTACT_RECEIVED, PREFERENCE_CHANGED
from parvis.common.runtime.health import Health
from parvis.ingest_sms.fetch.allowed_hosts import AllowedHosts
from parvis.ingest_sms.fetch.message_list import MessageList
from parvis.ingest_sms.parse.message_resource import parse_message_resource
from parvis.ingest_sms.receive.recent_ids import RecentIds
from parvis.ingest_sms.receive.reconciler import Reconciler
from parvis.simulators.app import Simulators
from parvis.simulators.settings import Settings

pytestmark = pytest.mark.stack
ACCOUNT = "AC" + "0123456789abcdef" * 2
TOKEN = "the town's token, for tests only"
TOWN = "+33536490100"


@pytest.fixture
async def outside(tmp_path: Path) -> AsyncGenerator[Simulators]:
    settings = Settings(
        twilio_port=0, mail_smtp_port=0, mail_web_port=0, twilio_account_sid=ACCOUNT, twilio_auth_token=SecretStr(TOKEN),
        mail_username="mairie", mail_password=SecretStr("not a secret"), mail_certificate=tmp_path / "relay.pem",
        mail_dir=tmp_path / "mail", letters_dir=tmp_path / "letters", town_number=TOWN, silence_s=1,
    )  # fmt: skip
    async with Simulators(settings) as outside:
        yield outside


@pytest.fixture
async def citizens(outside: Simulators) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=outside.twilio_url, trust_env=False) as http:
        yield http


@pytest.fixture
async def reconciling(kafka: str, make: Any, outside: Simulators, request: Any) -> AsyncGenerator[Reconciler]:
    prefix = "list-" + request.node.name.replace("_", "-")[-30:].strip("-")
    await apply_topics(kafka, [CONTACT_RECEIVED, PREFERENCE_CHANGED], prefix=prefix, replication=1)
    producer = Producer(kafka, service="ingest-sms")
    intake = make(producer=producer, prefix=prefix, hosts=AllowedHosts((), outside.twilio_url)).webhooks.intake
    messages = MessageList({ACCOUNT: [TOKEN]}, outside.twilio_url)
    yield Reconciler(
        messages, intake, frozenset([ACCOUNT]), (TOWN,), kafka, Health(),
        interval_s=300, window=timedelta(hours=1), grace=timedelta(0), topic_prefix=prefix,
    )  # fmt: skip
    await messages.close()
    await intake.media.close()
    await producer.stop()


async def missed(citizens: httpx.AsyncClient, body: str, **more: Any) -> str:
    sms = {"from": "+33639980001", "body": body, "announce": False} | more
    return (await citizens.post("/_sim/inbound", json=sms)).json()["sid"]


async def read(reconciling: Reconciler, topic: str = "contact.received") -> list[ReceivedRecord]:
    name = f"{reconciling.topic_prefix}.{topic}"
    return [received async for received in read_all_records(reconciling.brokers, [name])]


def contacts(records: list[ReceivedRecord]) -> list[ContactReceived]:
    return [ContactReceived.model_validate_json(received.value) for received in records]


async def test_a_message_without_a_webhook_is_a_contact_with_twilios_date(
    reconciling: Reconciler, citizens: httpx.AsyncClient, outside: Simulators
) -> None:
    sid = await missed(citizens, "Un arbre est tombé.")
    assert await reconciling.reconcile() == 1
    (contact,) = contacts(await read(reconciling))
    sent_at = outside.twilio.account.messages[sid].listed_at
    assert contact.contact_id == make_contact_id("sms", TOWN, sid)
    assert contact.received_at == sent_at.replace(microsecond=0)
    assert (contact.personal.text, contact.sender.level) == ("Un arbre est tombé.", "provider")
    assert contact.original.media_type == "application/json"


async def test_a_published_message_is_not_recovered(reconciling: Reconciler, citizens: httpx.AsyncClient) -> None:
    for number in range(3):
        await missed(citizens, f"Message {number}")
    assert await reconciling.reconcile() == 3
    assert await reconciling.reconcile() == 0
    reconciling.intake = replace(reconciling.intake, recent_ids=RecentIds())
    assert await reconciling.reconcile() == 0  # another process, which remembers nothing, asks Kafka
    assert len(await read(reconciling)) == 3


async def test_pages_whatsapp_and_keywords_are_recovered(
    reconciling: Reconciler, citizens: httpx.AsyncClient, monkeypatch: Any
) -> None:
    monkeypatch.setattr("parvis.ingest_sms.fetch.message_list._PAGE_SIZE", 2)
    for number in range(5):
        await missed(citizens, f"Message {number}")
    await missed(citizens, "Par WhatsApp", **{"from": "whatsapp:+33639980002", "to": f"whatsapp:{TOWN}"})
    await missed(citizens, "STOP")
    assert await reconciling.reconcile() == 7
    published = contacts(await read(reconciling))
    assert sorted(contact.personal.text for contact in published) == [
        *(f"Message {n}" for n in range(5)),
        "Par WhatsApp",
    ]
    assert {contact.channel for contact in published} == {"sms", "whatsapp"}
    assert len(await read(reconciling, "preference.changed")) == 1


async def test_files_are_fetched_too(reconciling: Reconciler, citizens: httpx.AsyncClient) -> None:
    picture = {"content_type": "image/png", "base64": base64.b64encode(b"a picture").decode()}
    await missed(citizens, "Voici", media=[picture])
    assert await reconciling.reconcile() == 1
    (contact,) = contacts(await read(reconciling))
    assert await reconciling.intake.blobs.get(contact.attachments[0]) == b"a picture"


async def test_a_message_is_left_to_its_webhook_for_a_while(
    reconciling: Reconciler, citizens: httpx.AsyncClient
) -> None:
    reconciling.grace = timedelta(minutes=5)
    await missed(citizens, "Tout juste envoyé")
    assert await reconciling.reconcile() == 0


async def test_a_failing_list_is_tried_again(reconciling: Reconciler, citizens: httpx.AsyncClient) -> None:
    await missed(citizens, "Un arbre est tombé.")
    await citizens.post("/_sim/faults", json={"lists": "error"})
    with pytest.raises(Unavailable):
        await reconciling.reconcile()
    await citizens.post("/_sim/faults", json={})
    assert await reconciling.reconcile() == 1


def test_a_resource_without_anything_raises_nothing() -> None:
    assert parse_message_resource({}).sent_at is None
    assert parse_message_resource({"date_sent": "yesterday", "subresource_uris": None}).message.message_sid == ""


async def test_a_message_that_cannot_be_parsed_stops_no_other(
    reconciling: Reconciler, citizens: httpx.AsyncClient, outside: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One entry of the list is no object, one has no MessageSid, one has lost its list of media: the fourth is recovered."""
    for text in ("Un trou", "Un arbre est tombé."):
        await missed(citizens, text)
    picture = {"content_type": "image/png", "base64": base64.b64encode(b"a picture").decode()}
    await missed(citizens, "Une photo", media=[picture])
    fetch = MessageList._get  # pyright: ignore[reportPrivateUsage]

    async def damaged(messages: MessageList, account: str, uri: str) -> dict[str, Any]:
        if "Media.json" in uri:
            uri = uri.replace("Media.json", "Nothing.json")
        page = await fetch(messages, account, uri)
        for resource in page.get("messages") or ():
            if resource["body"] == "Un trou":
                resource["sid"] = "not a MessageSid"
        return page | {"messages": ["not an object", *page["messages"]]} if page.get("messages") else page

    monkeypatch.setattr(MessageList, "_get", damaged)
    with capture_logs() as logs:
        assert await reconciling.reconcile() == 2
        assert await reconciling.reconcile() == 0
    published = {contact.personal.text: contact for contact in contacts(await read(reconciling))}
    assert set(published) == {"Un arbre est tombé.", "Une photo"}
    assert published["Une photo"].unreadable == "has pictures or files for which Twilio gives no URL"
    assert [entry["log_level"] for entry in logs if entry["event"] == "listed-message.skipped"].count("error") >= 2
