"""Tests that a channel is one row of the table and one sender: a contact of a made-up channel passes router, desk and notifier."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Generator, Sequence
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest

import parvis.desk
import parvis.notifier
import parvis.router
from parvis.common.bus.cloudevents import DecodedRecord, ReceivedRecord, Record, build_record
from parvis.common.bus.producer import Producer
from parvis.common.contract.channels import ChannelProperties, temporary_channel
from parvis.common.contract.contact import (
    ContactPersonalData,
    ContactPoint,
    ContactReceived,
    ReplyAddress,
    kafka_key,
)
from parvis.common.contract.delivery import DeliveryUpdated
from parvis.common.contract.event_base import Event
from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.routing.decisions import ContactRouted
from parvis.common.contract.topics import DELIVERY_UPDATED, REPLY_REQUESTED, department_topic
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.runtime.health import Health
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database, migrate, migrations_folder
from parvis.common.testing import A_KEY, AN_INSTANT, FakeProducer, a_contact
from parvis.common.town.loading import load_town_config
from parvis.common.town.templates import load_templates
from parvis.desk.consume.case_projection import CaseProjection
from parvis.desk.decide.reply_recipient import find_recipient
from parvis.desk.schema import case_tables
from parvis.desk.store.case_transactions import CaseStore
from parvis.desk.store.case_updates import read_contacts
from parvis.notifier import schema as notifier_schema
from parvis.notifier.app.parts import Clients, NotifierParts, TownContext
from parvis.notifier.app.sender_registry import build_senders, limits_of
from parvis.notifier.models.delivery import SendOutcome
from parvis.notifier.models.message import RenderedMessage
from parvis.notifier.send import SenderSetup
from parvis.notifier.settings import Settings as NotifierSettings
from parvis.notifier.store.letters import StoredLetterRegister
from parvis.router.app import RouterParts
from parvis.router.decide.assignment_context import AssignmentContext
from parvis.router.decide.conversation_working_set import ConversationWindows
from parvis.router.decide.deadlines import TownCalendar
from parvis.router.fetch.rules_files import load_rules
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.stack
EXAMPLE = Path(__file__).parents[2] / "config" / "example-town"
TOWN_CONFIG = load_town_config(EXAMPLE)
TEMPLATES = load_templates(EXAMPLE, TOWN_CONFIG)
PREFIX = "parvis"
PIGEON = ChannelProperties(
    name="pigeon",
    contact_point_kind="phone",
    reply_channel="pigeon",
    conversation_window=timedelta(days=3),
    is_sent=True,
    template_medium="sms",
    media_type="text/plain; charset=utf-8",
    labels=(("fr", "pigeon voyageur"), ("en", "carrier pigeon")),
)


class PigeonSender:
    """The sender of the made-up channel, as `services/notifier/src/parvis/notifier/send/pigeon.py` would define it."""

    provider = "loft"

    def __init__(self) -> None:
        self.messages: list[RenderedMessage] = []

    async def send(self, message: RenderedMessage) -> SendOutcome:
        self.messages.append(message)
        return SendOutcome("delivered", "ring-1")

    async def close(self) -> None: ...


def create_sender(_: SenderSetup) -> PigeonSender:
    return PigeonSender()


@pytest.fixture
def pigeon(monkeypatch: pytest.MonkeyPatch) -> Generator[ChannelProperties]:
    """Adds the row of the channel and the module of its sender."""
    module = ModuleType("parvis.notifier.send.pigeon")
    module.__dict__["create_sender"] = create_sender
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with temporary_channel(PIGEON) as row:
        yield row


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    for package in (parvis.router, parvis.desk, parvis.notifier):
        folder = migrations_folder(package)
        assert folder
        await migrate(database_url, package.__name__.rpartition(".")[2], folder)
    database = Database(database_url, service="test")
    yield database
    await database.close()


def decode(events: Sequence[Event]) -> list[DecodedRecord]:
    """Wrap events as the bus hands them to a service."""
    records = [
        build_record(event, topic="t", key="k", event_id=f"e{n}", source="test") for n, event in enumerate(events)
    ]
    received = [ReceivedRecord(r.topic, 0, offset, r.key, r.value, r.headers) for offset, r in enumerate(records)]
    return [DecodedRecord(event, record) for event, record in zip(events, received, strict=True)]


async def route(database: Database, blobs: BlobStore, contact: ContactReceived) -> list[Record]:
    """Route the contact over the real store. Gives the records that the router produces."""
    producer = FakeProducer()
    rules = load_rules(EXAMPLE, TOWN_CONFIG)
    router = RouterParts(
        database=database,
        producer=cast(Any, producer),
        rules=lambda: rules,
        context=AssignmentContext(TOWN_CONFIG, TownCalendar(TOWN_CONFIG.town), ConversationWindows(), TEMPLATES, A_KEY),
        prefix=PREFIX,
        blobs=blobs,
        now=lambda: AN_INSTANT,
        limit_s=60,
    ).build()
    record = build_record(
        contact, topic="parvis.contact.received", key=kafka_key(contact), event_id=contact.contact_id, source="test"
    )
    received = ReceivedRecord(record.topic, 0, 0, record.key, record.value, record.headers)
    decoded = received.event((ContactReceived,), fast_models=(ContactReceived,))
    await router.handle([DecodedRecord(decoded, received)])
    return producer.sent


async def project_case(database: Database, routed: ContactRouted) -> None:
    """Store the routed contact as a case of the desk."""
    outbox = Outbox(case_tables.outbox, database, cast(Producer, FakeProducer()), Health(), "desk")
    await CaseProjection(CaseStore(database, outbox, PREFIX), TOWN_CONFIG).handle(decode([routed]))


def build_notifier(database: Database, blobs: BlobStore, folder: Path) -> NotifierParts:
    """Build a notifier as `app` does, with a producer that remembers."""
    values: dict[str, Any] = {
        "twilio_account_sid": "AC" + "0" * 32, "twilio_auth_token": "not-a-secret", "twilio_base_url": "http://127.0.0.1:1",
        "sms_public_url": "http://127.0.0.1:1",
        "smtp_host": "127.0.0.1", "smtp_port": 1, "smtp_username": "town-hall", "smtp_password": "also-not-a-secret",
        "letters_dir": folder / "letters",
    }  # fmt: skip
    settings = NotifierSettings(**values)
    town = TownContext(
        TOWN_CONFIG, TEMPLATES, A_KEY, A_KEY, PREFIX, "https://www.example-town.example", EXAMPLE / "theme.css"
    )
    producer, health = cast(Producer, FakeProducer()), Health()
    outbox = Outbox(notifier_schema.outbox, database, producer, health, "notifier")
    clients = Clients(database, producer, outbox, blobs, AntivirusScanner(""), health)
    senders = build_senders(settings, TOWN_CONFIG, A_KEY, StoredLetterRegister(database))
    parts = NotifierParts(settings, town, clients, senders, limits_of(settings), worker="a-test:1")
    parts.preferences_read.set()
    return parts


async def send(notifier: NotifierParts, reply: ReplyRequested) -> list[DeliveryUpdated]:
    """Take in the requested reply and send it. Gives the delivery updates of the reply."""
    producer = cast(FakeProducer, notifier.clients.producer)
    stopping = asyncio.Event()
    await notifier.intake.handle(decode([reply]))
    async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE_S):
        group.create_task(notifier.send_loop().run(stopping))
        group.create_task(notifier.clients.outbox.relay(stopping))
        while not (updates := _updates(producer, reply)) or updates[-1].state != "delivered":
            await asyncio.sleep(0.05)
        stopping.set()
    return updates


def _updates(producer: FakeProducer, reply: ReplyRequested) -> list[DeliveryUpdated]:
    topic = DELIVERY_UPDATED.full_name(PREFIX)
    updates = [DeliveryUpdated.model_validate_json(r.value) for r in producer.sent if r.topic == topic]
    return [update for update in updates if update.reply_id == reply.reply_id]


async def test_a_contact_of_a_made_up_channel_is_routed_shown_and_answered_on_it(
    pigeon: ChannelProperties, database: Database, tmp_path: Path
) -> None:
    blobs = BlobStore(f"file://{tmp_path / 'blobs'}")
    stated = (ReplyAddress(channel=pigeon.name, address="+33639980001"),)
    personal = ContactPersonalData.model_validate(
        {"from": ContactPoint(kind="phone", value="+33639980001"), "text": "un nid de poule", "reply_channels": stated}
    )
    contact = a_contact(key="a made-up channel", channel=pigeon.name, personal=personal)

    produced = await route(database, blobs, contact)
    (routed,) = [r for r in produced if r.topic == department_topic("voirie").full_name(PREFIX)]
    (requested,) = [r for r in produced if r.topic == REPLY_REQUESTED.full_name(PREFIX)]
    case = ContactRouted.model_validate_json(routed.value)
    reply = ReplyRequested.model_validate_json(requested.value)
    assert (case.contact.channel, case.routing.rule) == (pigeon.name, "pothole")
    assert (reply.kind, reply.channel_of_contact) == ("registration", pigeon.name)

    await project_case(database, case)
    async with database.transaction() as connection:
        contacts = await read_contacts(connection, case.routing.conversation_id)
    assert find_recipient(contacts).channel == pigeon.name
    assert pigeon.label("en") == "carrier pigeon"

    notifier = build_notifier(database, blobs, tmp_path)
    updates = await send(notifier, reply)
    sender = notifier.senders[pigeon.name]
    assert isinstance(sender, PigeonSender)
    assert contact.reference in sender.messages[0].content.decode()
    assert [(update.channel, update.state) for update in updates] == [
        (pigeon.name, "reserved"),
        (pigeon.name, "delivered"),
    ]
    for opened in notifier.senders.values():
        await opened.close()
