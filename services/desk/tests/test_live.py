"""Tests the event streams of open pages over HTTP, on the real PostgreSQL."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
from sqlalchemy import text

from parvis.common.contract.routing.decisions import ContactRouted, Routing, make_conversation_id
from parvis.common.runtime.service import Service
from parvis.common.storage.postgres import Database
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.desk.models.case import Agent
from parvis.desk.store.live_updates import notify_viewer
from parvis.desk.store.queue_queries import QueueReader
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]


def message(key: str, department: str = "voirie") -> ContactRouted:
    contact = a_contact(key=key)
    routing = Routing(
        conversation_id=make_conversation_id(contact.contact_id, AN_INSTANT), sequence=1, department=department,
        reference=contact.reference, rule="r", rules_version="v", confidence=1, reason={"fr": "Voirie.", "en": "Roads."},
        received_at=AN_INSTANT, decided_at=AN_INSTANT,
    )  # fmt: skip
    return ContactRouted(routing=routing, contact=contact)


@pytest_asyncio.fixture(loop_scope="module")
async def http(service: Service, database: Database, agent: httpx.AsyncClient) -> AsyncGenerator[httpx.AsyncClient]:
    """A logged-in browser that speaks to the desk over a socket, with the listener running."""
    stopping, listener = asyncio.Event(), socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(service.app, log_level="warning", lifespan="off"))
    listening = asyncio.ensure_future(service.tasks[1](stopping))
    serving = asyncio.ensure_future(server.serve([listener]))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with httpx.AsyncClient(base_url=address, cookies=dict(agent.cookies), timeout=PATIENCE_S) as client:
        yield client
    stopping.set()
    await listening
    server.should_exit = True
    await serving


async def messages(stream: httpx.Response) -> AsyncIterator[Any]:
    async for line in stream.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def test_a_stream_tells_which_cases_stand_on_the_page(
    http: httpx.AsyncClient, project: Project, database: Database
) -> None:
    first, second, foreign = message("SM1"), message("SM2"), message("SM3", "police")
    await project(first)
    async with http.stream("GET", "/queue/events?show=unassigned") as stream, asyncio.timeout(PATIENCE_S):
        news = messages(stream)
        assert (await anext(news))["rows"].keys() == {first.routing.conversation_id}
        await project(foreign)  # of no concern here
        await project(second)
        assert (await anext(news))["rows"].keys() == {first.routing.conversation_id, second.routing.conversation_id}
        async with database.transaction() as connection:
            await connection.execute(
                text("update desk.case_file set taken_by = 'Lou' where reference = :r"), {"r": first.contact.reference}
            )
            await connection.execute(text("select pg_notify('desk_queue', 'voirie')"))
        assert (await anext(news))["rows"].keys() == {second.routing.conversation_id}


async def test_who_else_has_a_case_open_is_told(http: httpx.AsyncClient, project: Project, database: Database) -> None:
    case = message("SM1")
    await project(case)
    address = f"/cases/{case.routing.conversation_id}/events"
    async with http.stream("GET", address) as stream, asyncio.timeout(PATIENCE_S):
        news = messages(stream)
        assert await anext(news) == {"others": []}
        told = json.dumps({"conversation": case.routing.conversation_id, "agent": "Lou Exemple"})
        async with database.transaction() as connection:
            await connection.execute(
                text("select pg_notify('desk_viewer', 'nonsense'), pg_notify('desk_viewer', :told)"), {"told": told}
            )
        while await anext(news) != {"others": ["Lou Exemple"]}:
            pass
    assert 'title="Regarde ce dossier">LE<' in (await http.get("/queue")).text


async def test_who_opens_a_case_is_told_to_those_who_have_the_list_open(
    http: httpx.AsyncClient, project: Project, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parvis.desk.pages.live_events.VIEWER_BEAT_S", 10 * PATIENCE_S)
    conversation = message("SM2").routing.conversation_id
    await project(message("SM2"))
    async with http.stream("GET", "/queue/events") as stream, asyncio.timeout(PATIENCE_S):
        news = messages(stream)
        assert await anext(news) == {"rows": {conversation: ""}}
        async with database.transaction() as connection:
            await notify_viewer(connection, conversation, Agent("Lou Exemple", "voirie"))
        while await anext(news) != {"rows": {conversation: "LE"}}:
            pass


async def test_many_open_lists_are_read_once_for_each_change(
    http: httpx.AsyncClient, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    read_page_ids = QueueReader.read_page_ids

    async def count(reader: QueueReader, *rest: Any) -> list[str]:
        reads.append(reader.agent.department)
        return await read_page_ids(reader, *rest)

    monkeypatch.setattr(QueueReader, "read_page_ids", count)
    monkeypatch.setattr("parvis.desk.pages.live_events.VIEWER_BEAT_S", 10 * PATIENCE_S)
    monkeypatch.setattr("parvis.desk.store.queue_page_cache._LASTS_S", 10 * PATIENCE_S)
    async with asyncio.timeout(PATIENCE_S), AsyncExitStack() as stack:
        streams = [messages(await stack.enter_async_context(http.stream("GET", "/queue/events"))) for _ in range(5)]
        assert [await anext(news) for news in streams] == [{"rows": {}}] * 5
        await project(message("SM1"))
        for news in streams:
            while not (await anext(news))["rows"]:
                pass
    assert len(reads) == 2


async def test_a_foreign_case_has_no_stream_and_nobody_has_one_without_login(
    http: httpx.AsyncClient, project: Project
) -> None:
    case = message("SM1", "police")
    await project(case)
    assert (await http.get(f"/cases/{case.routing.conversation_id}/events")).status_code in (403, 404)
    http.cookies.clear()
    assert (await http.get("/queue/events")).status_code == 303


async def test_a_lost_connection_is_made_again_and_everybody_looks_again(
    http: httpx.AsyncClient, project: Project, database: Database
) -> None:
    await project(message("SM1"))
    async with http.stream("GET", "/queue/events") as stream, asyncio.timeout(PATIENCE_S):
        news = messages(stream)
        assert len((await anext(news))["rows"]) == 1
        async with database.transaction() as connection:
            kill = "select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%' and pid <> pg_backend_pid()"
            await connection.execute(text(kill))
            await connection.execute(text("delete from desk.case_file"))
        assert (await anext(news))["rows"] == {}
