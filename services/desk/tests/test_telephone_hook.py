"""Tests the report of the telephone system: its own token, and the call on the screen of the department."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text

import parvis.desk
from parvis.common.runtime.clock import now
from parvis.common.storage.postgres import Database
from parvis.common.town.models import TownConfig
from parvis.desk.api.telephone_hook import telephone_hook
from parvis.desk.store.incoming_calls import IncomingCall, purge_calls, record_call
from parvis.web.pages import PageRenderer

pytestmark = pytest.mark.asyncio(loop_scope="module")
Send = Callable[..., Awaitable[httpx.Response]]
TOKEN = {"authorization": "Bearer a telephone's token for tests"}
CALL = {"number": "06 39 98 00 01", "department": "voirie", "call_id": "pbx-17"}


@pytest_asyncio.fixture(loop_scope="module")
async def telephones(database: Database, town_config: TownConfig) -> AsyncGenerator[httpx.AsyncClient]:
    folder = Path(str(parvis.desk.__file__)).parent
    pages = PageRenderer(town_config.town, folder=folder, theme=folder / "none.css")
    app: FastAPI = telephone_hook(
        database, town_config, pages, token=SecretStr("a telephone's token for tests"), desk_url="https://desk.example"
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8130") as http:
        yield http


async def test_a_call_appears_once_on_the_screen_of_its_department(
    telephones: httpx.AsyncClient, agent: httpx.AsyncClient
) -> None:
    for _ in range(2):
        answer = await telephones.post("/calls", json=CALL, headers=TOKEN)
        assert answer.status_code == 201
        assert answer.json() == {"url": "https://desk.example/counter?tel=%2B33639980001"}

    for path in ("/counter", "/counter/calls"):
        page = (await agent.get(path)).text
        assert page.count('href="/counter?tel=%2B33639980001">06 39 98 00 01</a>') == 1


async def test_another_department_does_not_see_the_call(
    telephones: httpx.AsyncClient, browser: httpx.AsyncClient, send: Send
) -> None:
    await telephones.post("/calls", json=CALL, headers=TOKEN)
    await send("/login", "/login", name="Alix Exemple", department="etat-civil")

    assert "06 39 98" not in (await browser.get("/counter")).text


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer a token for tests only"}, {"authorization": "Basic x"}]
)
async def test_only_the_telephone_systems_own_token_is_taken(
    telephones: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await telephones.post("/calls", json=CALL, headers=headers)).status_code == 401


async def test_without_a_token_in_the_settings_every_report_is_refused(agent: httpx.AsyncClient) -> None:
    assert (await agent.post("/telephone/calls", json=CALL, headers=TOKEN)).status_code == 401
    assert (await agent.post("/telephone/calls", json=CALL, headers={"authorization": "Bearer "})).status_code == 401


@pytest.mark.parametrize("change", [{"number": "anonymous"}, {"number": ""}, {"department": "nowhere"}, {"number": 7}])
async def test_a_call_from_nobody_is_refused(telephones: httpx.AsyncClient, change: dict[str, object]) -> None:
    assert (await telephones.post("/calls", json=CALL | change, headers=TOKEN)).status_code == 422


async def test_a_number_is_kept_for_an_hour(database: Database) -> None:
    for age, key in ((5, "1"), (90, "2")):
        call = IncomingCall(
            f"0000000{key}-0000-4000-8000-000000000000", "voirie", "+33639980001", now() - timedelta(minutes=age)
        )
        await record_call(database, call)

    await purge_calls(database)

    async with database.transaction() as connection:
        assert await connection.scalar(text("select count(*) from desk.incoming_call")) == 1


async def test_a_call_with_a_name_twice_is_400(telephones: httpx.AsyncClient) -> None:
    body = b'{"number":"06 39 98 00 01","number":"06 39 98 00 02","department":"voirie"}'
    answer = await telephones.post("/calls", content=body, headers=TOKEN | {"content-type": "application/json"})

    assert answer.status_code == 400
