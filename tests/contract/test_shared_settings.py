"""Tests that the clients of every service are built with the settings that all services share."""

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

import parvis
from parvis.common.bus.group_membership import GroupMembership
from parvis.common.bus.producer import Producer
from parvis.common.storage.postgres import Database

LIBRARIES = {"common", "web", "local", "simulators", "twilio"}
SERVICES = sorted(module.name for module in pkgutil.iter_modules(parvis.__path__) if module.name not in LIBRARIES)
CONSUMING = {"router", "notifier", "desk"}

BOOTSTRAP = "kafka.example:19099"
SESSION_TIMEOUT_S, METADATA_AGE_S = 7, 11
DATABASE_URL = "postgresql+asyncpg://somebody:secret@database.example:5499/town"
Built = TypeVar("Built")


def record_instances(monkeypatch: pytest.MonkeyPatch, kind: type[Built]) -> list[Built]:
    """Collect the objects of our own class that a service builds."""
    built: list[Built] = []
    init: Callable[..., None] = kind.__init__

    def recorded(self: Built, *arguments: Any, **named: Any) -> None:
        init(self, *arguments, **named)
        built.append(self)

    monkeypatch.setattr(kind, "__init__", recorded)
    return built


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shared = {
        "KAFKA_BOOTSTRAP": BOOTSTRAP, "DATABASE_URL": DATABASE_URL, "SESSION_TIMEOUT_S": SESSION_TIMEOUT_S,
        "METADATA_AGE_S": METADATA_AGE_S, "BLOBS_URL": f"file://{tmp_path}/blobs", "SECRET_KEY": "a secret for tests only",
        "CONTACT_POINT_KEY": "another secret for tests", "CONFIG_DIR": Path("config/example-town").absolute(), "VAR": tmp_path,
    }  # fmt: skip
    own = {
        "INGEST_EMAIL_SMTP_PORT": 0, "INGEST_EMAIL_LMTP_PORT": 0,  # no listener: nothing is started here
        "INGEST_SMS_TWILIO_AUTH_TOKEN": "t" * 32, "INGEST_SMS_TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "NOTIFIER_TWILIO_AUTH_TOKEN": "t" * 32, "NOTIFIER_TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "NOTIFIER_SMS_PUBLIC_URL": "https://sms.example", "NOTIFIER_SMTP_HOST": "relay.example",
        "NOTIFIER_SMTP_USERNAME": "town", "NOTIFIER_SMTP_PASSWORD": "secret",
    }  # fmt: skip
    for name, value in (shared | own).items():
        monkeypatch.setenv(f"PARVIS_{name}", str(value))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("service", SERVICES)
async def test_its_clients_are_built_with_the_shared_settings(service: str, monkeypatch: pytest.MonkeyPatch):
    memberships = record_instances(monkeypatch, GroupMembership)
    producers, databases = record_instances(monkeypatch, Producer), record_instances(monkeypatch, Database)

    await importlib.import_module(f"parvis.{service}.app").build()

    assert bool(memberships) == (service in CONSUMING)
    assert producers
    for membership in memberships:
        consumer = membership._build_client()  # pyright: ignore[reportPrivateUsage]
        assert consumer._client._bootstrap_servers == BOOTSTRAP
        assert consumer._session_timeout_ms == SESSION_TIMEOUT_S * 1000
        assert consumer._client._metadata_max_age_ms == METADATA_AGE_S * 1000
        await consumer.stop()
    for producer in producers:
        client: Any = producer._build_client()  # pyright: ignore[reportPrivateUsage]
        assert client.client._bootstrap_servers == BOOTSTRAP
        assert client.client._metadata_max_age_ms == METADATA_AGE_S * 1000
        client._closed = True  # it was never started
    for database in databases:
        assert database.engine.url.render_as_string(hide_password=False) == DATABASE_URL
        await database.close()
