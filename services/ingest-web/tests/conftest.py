"""Runs ingest-web on the real PostgreSQL, with requests as a browser sends them; Kafka is down."""

import re
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text

import parvis.ingest_web
from parvis.common.contract.contact import ContactReceived
from parvis.common.runtime.service import Service
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.postgres import Database, migrate, migrations_folder
from parvis.ingest_web.app import build

CONFIG = Path(__file__).parents[3] / "config" / "example-town"
ROADS: dict[str, Any] = {
    "problem": "pothole",
    "place": "12 rue des Lilas",
    "details": "Un trou.",
    "reply-channel": "none",
}


@dataclass
class Browser:
    """Fills in forms, and looks at what the door wrote."""

    http: httpx.AsyncClient
    database: Database
    blobs: Path

    async def open(self, slug: str, **query: str) -> dict[str, str]:
        """The hidden inputs of a fresh form page."""
        page = await self.http.get(f"/demarches/{slug}", params=query)
        assert page.status_code == 200
        return hidden(page.text)

    async def send(self, slug: str, fields: dict[str, Any], **more: Any) -> httpx.Response:
        inputs = fields if "_once" in fields else await self.open(slug) | fields
        return await self.http.post(f"/demarches/{slug}", data=inputs, **more)

    async def events(self) -> list[bytes]:
        async with self.database.transaction() as connection:
            return list(await connection.scalars(text("select value from ingest_web.outbox order by id")))

    async def the_contact(self) -> ContactReceived:
        (value,) = await self.events()
        return ContactReceived.model_validate_json(value)

    def stored(self) -> list[bytes]:
        """Every blob, each under its SHA-256."""
        return [file.read_bytes() for file in sorted(self.blobs.rglob("*")) if file.is_file() and len(file.name) == 64]


def hidden(page: str) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
    return {name: unescape(value) for name, value in found}


@pytest.fixture(scope="module")
def environment(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[pytest.MonkeyPatch]:
    settings = {
        "PARVIS_DATABASE_URL": database_url,
        "PARVIS_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "PARVIS_BLOBS_URL": f"file://{tmp_path_factory.mktemp('blobs')}",
        "PARVIS_CONFIG_DIR": str(CONFIG),
        "PARVIS_PUBLIC_URL": "http://town.example",
        "PARVIS_SECRET_KEY": "a secret for tests only",
        "PARVIS_CONTACT_POINT_KEY": "another secret for tests only",
        "PARVIS_INGEST_WEB_QUICKEST_S": "0",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield patch


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(database_url: str, environment: pytest.MonkeyPatch) -> AsyncGenerator[Service]:
    folder = migrations_folder(parvis.ingest_web)
    assert folder
    await migrate(database_url, "ingest_web", folder)
    service = await build()
    yield service
    for close in service.closing:
        await close()


@pytest_asyncio.fixture(loop_scope="module")
async def browser(service: Service, database_url: str) -> AsyncGenerator[Browser]:
    database = Database(database_url, service="test")
    async with database.transaction() as connection:
        await connection.execute(text("truncate ingest_web.submission, ingest_web.outbox, ingest_web.unsent_form"))
    transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://town.example") as http:
        yield Browser(http, database, Path(load_settings(SharedSettings).blobs_url.removeprefix("file://")))
    await database.close()
