"""Provides fixtures: the example town's configuration, replies to its citizens, and a notifier with simulated providers."""

from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from services.notifier.tests.parts import ACCOUNT, MakeReply, Notifier
from services.notifier.tests.site import Site, site_of
from sqlalchemy import text

from parvis.common.bus.producer import Producer
from parvis.common.contract.contact import ContactPoint, ConversationId, make_contact_id
from parvis.common.contract.references import make_reference
from parvis.common.contract.reply import ReplyPersonalData, ReplyRequested, make_reply_id
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.runtime.health import Health
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database, migrate
from parvis.common.testing import A_KEY, AN_INSTANT, FakeProducer
from parvis.common.town.loading import load_town_config
from parvis.common.town.models import TownConfig
from parvis.common.town.templates import TemplateSet, load_templates
from parvis.notifier import schema
from parvis.notifier.app.parts import Clients, NotifierParts, TownContext
from parvis.notifier.app.sender_registry import build_senders, limits_of
from parvis.notifier.decide.channel_choice import ChannelChooser, own_addresses
from parvis.notifier.models.letter import ManifestLetter
from parvis.notifier.models.sender_ports import ChannelSender
from parvis.notifier.render.message_renderer import MessageRenderer
from parvis.notifier.send import SenderSetup
from parvis.notifier.send.email import SmtpSender, create_sender
from parvis.notifier.settings import Settings
from parvis.notifier.store.letters import StoredLetterRegister
from parvis.simulators.app import Simulators
from parvis.simulators.settings import Settings as OutsideSettings

CONFIG = Path(__file__).parents[3] / "config" / "example-town"


@pytest.fixture(scope="session")
def town_config() -> TownConfig:
    return load_town_config(CONFIG)


@pytest.fixture(scope="session")
def templates(town_config: TownConfig) -> TemplateSet:
    return load_templates(CONFIG, town_config)


@pytest.fixture(scope="session")
def renderer(town_config: TownConfig, templates: TemplateSet) -> MessageRenderer:
    return MessageRenderer(town_config, templates, A_KEY)


@pytest.fixture(scope="session")
def addressing(town_config: TownConfig) -> ChannelChooser:
    return ChannelChooser(own_addresses(town_config), A_KEY)


@pytest.fixture(scope="session")
def make_reply() -> MakeReply:
    """Makes a reply as the router or the desk requests it; keyword arguments override its fields."""
    return _reply


def _reply(
    key: str = "1",
    *,
    kind: str = "answer",
    channel: str = "sms",
    points: tuple[ContactPoint, ...] = (ContactPoint(kind="phone", value="+33639980001"),),
    conversation: str | None = None,
    personal: dict[str, Any] | None = None,
    **changes: Any,
) -> ReplyRequested:
    contact = make_contact_id(channel, "+33536490100", conversation or key)
    values: dict[str, Any] = {
        "reply_id": make_reply_id(kind, key),
        "conversation_id": ConversationId(contact),
        "reference": make_reference(contact),
        "kind": kind,
        "department": "etat-civil",
        "channel_of_contact": channel,
        "template": kind if kind in {"registration", "receipt", "answer"} else None,
        "language": "fr",
        "legal": True,
        "send_at": AN_INSTANT - timedelta(minutes=1),
        "requested_at": AN_INSTANT - timedelta(minutes=1),
        "requested_by": "router",
        "personal": ReplyPersonalData.model_validate(
            {"contact_points": points, "text": "Votre acte est prêt." if kind == "answer" else "", **(personal or {})}
        ),
    }
    return ReplyRequested(**(values | changes))


def settings_of(outside: Simulators, folder: Path, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "twilio_account_sid": ACCOUNT,
        "twilio_auth_token": "not-a-secret",
        "twilio_base_url": outside.twilio_url,
        "sms_public_url": "http://127.0.0.1:1",
        "smtp_host": "127.0.0.1",
        "smtp_port": outside.mail_smtp_port,
        "smtp_username": "mairie",
        "smtp_password": "also-not-a-secret",
        "smtp_ca_file": outside.settings.mail_certificate,
        "letters_dir": folder / "letters",
        "provider_timeout_s": 10,
    }
    return Settings(**(values | changes))


@pytest.fixture
async def outside(tmp_path: Path) -> AsyncGenerator[Simulators]:
    settings = OutsideSettings.model_validate(
        {
            "twilio_port": 0,
            "mail_smtp_port": 0,
            "mail_web_port": 0,
            "twilio_account_sid": ACCOUNT,
            "twilio_auth_token": "not-a-secret",
            "mail_username": "mairie",
            "mail_password": "also-not-a-secret",
            "mail_certificate": tmp_path / "relay.pem",
            "mail_dir": tmp_path / "mail",
            "letters_dir": tmp_path / "letters",
            "step_ms": 5,
            "silence_s": 30,
        }
    )
    async with Simulators(settings) as made:
        yield made


def town_context(town_config: TownConfig, templates: TemplateSet) -> TownContext:
    return TownContext(
        config=town_config,
        templates=templates,
        signing_key=A_KEY,
        hashing_key=A_KEY,
        topic_prefix="parvis",
        public_url="https://www.example-town.example",
        theme=CONFIG / "theme.css",
    )


def build_notifier(outside: Simulators, clients: Clients, town: TownContext, folder: Path, **changes: Any) -> Notifier:
    """A notifier as `app` builds it; keyword arguments override its settings."""
    settings = settings_of(outside, folder, **changes)
    senders = build_senders(settings, town.config, A_KEY, StoredLetterRegister(clients.database))
    parts = NotifierParts(settings, town, clients, senders, limits_of(settings), worker="a-test:1")
    producer = cast(FakeProducer, clients.producer)
    return Notifier(parts, producer, outside, folder / "letters", folder)


@pytest.fixture
async def clients(database_url: str, tmp_path: Path) -> AsyncGenerator[Clients]:
    await migrate(database_url, "notifier", Path(__file__).parents[1] / "migrations")
    database, producer, health = Database(database_url, service="notifier"), FakeProducer(), Health()
    async with database.transaction() as connection:
        names = ", ".join(f"notifier.{table.name}" for table in schema.METADATA.sorted_tables)
        await connection.execute(text(f"truncate {names}"))
    as_producer = cast(Producer, producer)
    outbox = Outbox(schema.outbox, database, as_producer, health, "notifier")
    blobs = BlobStore(f"file://{tmp_path / 'blobs'}")
    yield Clients(database, as_producer, outbox, blobs, AntivirusScanner(""), health)
    await database.close()


@pytest.fixture
async def a_notifier(
    outside: Simulators, clients: Clients, town_config: TownConfig, templates: TemplateSet, tmp_path: Path
) -> AsyncGenerator[Callable[..., Notifier]]:
    """Builds notifiers with other settings or clients."""
    built: list[Notifier] = []

    def build(*, changed: Clients = clients, **changes: Any) -> Notifier:
        town = town_context(town_config, templates)
        built.append(build_notifier(outside, changed, town, tmp_path, **changes))
        return built[-1]

    yield build
    for notifier in built:
        for sender in notifier.senders.values():
            await sender.close()


@pytest.fixture
async def notifier(a_notifier: Callable[..., Notifier]) -> Notifier:
    return a_notifier()


@pytest.fixture
async def impatient(a_notifier: Callable[..., Notifier]) -> Notifier:
    """A notifier that waits one second for a provider, for tests of time-outs."""
    return a_notifier(provider_timeout_s=1)


def relay_of(outside: Simulators, town_config: TownConfig, folder: Path, **changes: Any) -> SmtpSender:
    settings = settings_of(outside, folder, **changes)
    return create_sender(SenderSetup(settings, town_config.town, A_KEY, NoLetters(), {}))


class NoLetters:
    """A register for senders that write no letters."""

    async def find_file_name(self, delivery_id: str) -> str | None:
        return None

    async def record(self, letter: ManifestLetter) -> None: ...


@pytest.fixture
def wrong_login(outside: Simulators, town_config: TownConfig, tmp_path: Path) -> ChannelSender:
    return relay_of(outside, town_config, tmp_path, smtp_password="not the password")


@pytest.fixture
def untrusting(outside: Simulators, town_config: TownConfig, tmp_path: Path) -> ChannelSender:
    """A sender that trusts only the system's authorities, none of which signed the relay's certificate."""
    return relay_of(outside, town_config, tmp_path, smtp_ca_file=None)


@pytest.fixture
async def site(notifier: Notifier) -> AsyncGenerator[Site]:
    """The notifier's pages, opened by a citizen who reads French."""
    async with site_of(notifier) as opened:
        yield opened
