"""Runs the desk on the real PostgreSQL; pages are requested as a browser does, Kafka is down, and events are passed to the projection directly."""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import text
from starlette.routing import Mount

import parvis.desk
from parvis.common.bus.cloudevents import DecodedRecord, ReceivedRecord, encode_event
from parvis.common.contract.event_base import Event
from parvis.common.runtime.health import Health
from parvis.common.runtime.service import Service
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database, migrate, migrations_folder
from parvis.common.testing import FakeProducer
from parvis.common.town.loading import load_town_config
from parvis.common.town.models import TownConfig
from parvis.desk.api.dependencies import ApiGuard
from parvis.desk.app import build
from parvis.desk.consume.case_projection import CaseProjection
from parvis.desk.pages.access import RouteGuard
from parvis.desk.schema import case_tables
from parvis.desk.store import case_transactions

CONFIG = Path(__file__).parents[3] / "config" / "example-town"
TABLES = [
    "case_file",
    "contact",
    "placement",
    "step",
    "move",
    "reply",
    "delivery",
    "transfer",
    "act",
    "counter_contact",
    "caller",
    "incoming_call",
    "draft",
    "draft_file",
    "search_entry",
    "saved_view",
    "bulk_act",
    "absence",
    "outbox",
]
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
Send = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture(scope="session")
def town_config() -> TownConfig:
    return load_town_config(CONFIG)


@pytest.fixture(scope="module")
def login_settings() -> dict[str, str]:
    """How agents log in; a module with another login than the development one overrides it."""
    return {}


@pytest.fixture(scope="module")
def environment(
    database_url: str, tmp_path_factory: pytest.TempPathFactory, login_settings: dict[str, str]
) -> Generator[pytest.MonkeyPatch]:
    settings = {
        "PARVIS_DATABASE_URL": database_url,
        "PARVIS_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "PARVIS_BLOBS_URL": f"file://{tmp_path_factory.mktemp('blobs')}",
        "PARVIS_CONFIG_DIR": str(CONFIG),
        "PARVIS_SECRET_KEY": "a secret for tests only",
        "PARVIS_CONTACT_POINT_KEY": "another secret for tests only",
        "PARVIS_DESK_API_TOKEN": "a token for tests only",
    } | login_settings
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield patch


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(database_url: str, environment: pytest.MonkeyPatch) -> AsyncGenerator[Service]:
    folder = migrations_folder(parvis.desk)
    assert folder
    await migrate(database_url, "desk", folder)
    service = await build()
    stopping = asyncio.Event()
    previews = asyncio.ensure_future(service.tasks[0](stopping))  # only this task: Kafka is down
    yield service
    stopping.set()
    await previews
    for close in service.closing:
        await close()


def api_routes(app: Any) -> Iterator[APIRoute]:
    """All routes of an application and of those mounted in it."""
    for route in app.routes:
        if isinstance(route, APIRoute):
            yield route
        elif isinstance(route, Mount) and isinstance(route.app, FastAPI):
            yield from api_routes(route.app)
        elif router := getattr(route, "original_router", None):
            yield from api_routes(router)


Guarded = list[tuple[str, APIRoute, list[RouteGuard | ApiGuard]]]


@pytest.fixture
def guarded_routes(service: Service) -> Guarded:
    """Each route with its method, and the checks that stand before it."""
    found: Guarded = []
    for route in api_routes(service.app):
        calls = [dependant.call for dependant in route.dependant.dependencies]
        checks = [call for call in calls if isinstance(call, RouteGuard | ApiGuard)]
        found += [(method, route, checks) for method in route.methods or ()]
    return found


@pytest.fixture
def unguarded(guarded_routes: Guarded) -> set[tuple[str, str]]:
    """Method and path of each route that asks for no right, or for more than one."""
    return {(method, route.path) for method, route, checks in guarded_routes if len(checks) != 1}


@pytest_asyncio.fixture(loop_scope="module")
async def database(service: Service, database_url: str) -> AsyncGenerator[Database]:
    database = Database(database_url, service="test")
    async with database.transaction() as connection:
        await connection.execute(text("truncate " + ", ".join(f"desk.{table}" for table in TABLES)))
    yield database
    await database.close()


@pytest.fixture
def blobs(environment: pytest.MonkeyPatch) -> BlobStore:
    return BlobStore(load_settings(SharedSettings).blobs_url)


@pytest.fixture
def projection(database: Database, town_config: TownConfig) -> CaseProjection:
    producer: Any = FakeProducer()
    outbox = Outbox(case_tables.outbox, database, producer, Health(), "desk")
    return CaseProjection(case_transactions.CaseStore(database, outbox, "parvis"), town_config)


@pytest.fixture
def project(projection: CaseProjection) -> Project:
    """Applies events to cases, as one batch."""

    async def project(*events: Event) -> None:
        await projection.handle(
            [
                DecodedRecord(event, ReceivedRecord("t", 0, n, b"", encode_event(event), ()))
                for n, event in enumerate(events)
            ]
        )

    return project


@pytest.fixture
def published(database: Database) -> Published:
    """The values in the outbox for a topic, in order."""

    async def published(topic: str) -> list[bytes]:
        query = text("select value from desk.outbox where topic = :topic order by id")
        async with database.transaction() as connection:
            return list(await connection.scalars(query, {"topic": f"parvis.{topic}"}))

    return published


@pytest_asyncio.fixture(loop_scope="module")
async def browser(service: Service, database: Database) -> AsyncGenerator[httpx.AsyncClient]:
    """A browser without a session."""
    transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8130") as http:
        yield http


@pytest.fixture
def send(browser: httpx.AsyncClient) -> Send:
    """Fill in the form that posts to `action` on `page`, and send it."""

    async def send(page: str, action: str, **fields: str) -> httpx.Response:
        hidden = await open_form(browser, page, action)
        return await browser.post(action, data=hidden | {n.replace("__", "-"): v for n, v in fields.items()})

    return send


@pytest.fixture(name="open_form")
def give_open_form() -> Callable[..., Awaitable[dict[str, str]]]:
    return open_form


async def open_form(browser: httpx.AsyncClient, page: str, action: str) -> dict[str, str]:
    """The hidden fields of the form with a button for `action`, on the page at a path or on one that was answered."""
    shown = (await browser.get(page)).text if page.startswith("/") else page
    form = next(part for part in shown.split("<form")[1:] if f'action="{action}' in part)
    inputs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form.split("</form>")[0])
    return {name: unescape(value) for name, value in inputs}


@pytest_asyncio.fixture(loop_scope="module")
async def agent(browser: httpx.AsyncClient, send: Send) -> httpx.AsyncClient:
    """A browser of an agent of the roads department."""
    await send("/login", "/login", name="Dominique Exemple", department="voirie")
    return browser


@pytest_asyncio.fixture(loop_scope="module")
async def colleague(service: Service, database: Database) -> AsyncGenerator[httpx.AsyncClient]:
    """A browser of another agent of the roads department."""
    transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8130") as http:
        form = await open_form(http, "/login", "/login")
        await http.post("/login", data=form | {"name": "Claude Exemple", "department": "voirie"})
        yield http
