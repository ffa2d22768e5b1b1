"""The town of the tests: the example configuration, replies to its citizens, and a notifier with its providers."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from services.notifier.tests.parts import ACCOUNT, AskFor, Notifier
from sqlalchemy import text

from parvis.common.contract.contact import ContactPoint, ConversationId, make_contact_id
from parvis.common.contract.references import make_reference
from parvis.common.contract.reply import PersonalReply, ReplyRequested, make_reply_id
from parvis.common.storage.postgres import Database, migrate
from parvis.common.testing import A_KEY, AN_INSTANT, FakeProducer
from parvis.common.town.loading import load_town_config
from parvis.common.town.models import TownConfig
from parvis.common.town.templates import TemplateSet, load_templates
from parvis.notifier import app, schema
from parvis.notifier.decide.channel_choice import Addressing, own_addresses
from parvis.notifier.models.sender_ports import Channel
from parvis.notifier.render.message_renderer import Renderer
from parvis.notifier.settings import Settings
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
def renderer(town_config: TownConfig, templates: TemplateSet) -> Renderer:
    return Renderer(town_config, templates, A_KEY)


@pytest.fixture(scope="session")
def addressing(town_config: TownConfig) -> Addressing:
    return Addressing(own_addresses(town_config), A_KEY)


@pytest.fixture(scope="session")
def ask_for() -> AskFor:
    """Makes a reply as the router or the desk asks for it; any member can be changed by name."""
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
        "personal": PersonalReply.model_validate(
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


@pytest.fixture
async def notifier(
    database_url: str,
    outside: Simulators,
    town_config: TownConfig,
    renderer: Renderer,
    addressing: Addressing,
    tmp_path: Path,
) -> AsyncGenerator[Notifier]:
    await migrate(database_url, "notifier", Path(__file__).parents[1] / "migrations")
    database = Database(database_url, service="notifier")
    async with database.transaction() as connection:
        names = ", ".join(f"notifier.{table.name}" for table in schema.METADATA.sorted_tables)
        await connection.execute(text(f"truncate {names}"))
    channels = app.channels_of(settings_of(outside, tmp_path), town_config, A_KEY)
    made = Notifier(database, FakeProducer(), outside, tmp_path / "letters", channels, addressing, renderer, tmp_path)
    yield made
    for channel in made.channels.values():
        await channel.close()
    await database.close()


@pytest.fixture
async def impatient(notifier: Notifier, outside: Simulators, town_config: TownConfig, tmp_path: Path) -> Notifier:
    """One that waits a second for a provider, for tests of silence."""
    for channel in notifier.channels.values():
        await channel.close()
    notifier.channels = app.channels_of(settings_of(outside, tmp_path, provider_timeout_s=1), town_config, A_KEY)
    return notifier


@pytest.fixture
def wrong_login(outside: Simulators, tmp_path: Path) -> Channel:
    return app.email_of(settings_of(outside, tmp_path, smtp_password="not the password"), "town.example", A_KEY)


@pytest.fixture
def untrusting(outside: Simulators, tmp_path: Path) -> Channel:
    """Trusts the machine's own authorities only, none of which signed the relay's certificate."""
    return app.email_of(settings_of(outside, tmp_path, smtp_ca_file=None), "town.example", A_KEY)
