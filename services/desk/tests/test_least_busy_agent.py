"""Tests that new cases go in turn to the agents who are there, up to their capacity, and never to whom they are closed."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from services.desk.tests.test_pages import personal, routed
from sqlalchemy import text

from parvis.common.storage.postgres import Database
from parvis.common.testing import a_contact
from parvis.common.town.models import TownConfig
from parvis.desk.consume.case_projection import CaseProjection
from parvis.desk.models.accounts import ConfidentialCases
from parvis.desk.store.new_case_assignment import RoundRobin

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
OpenForm = Callable[..., Awaitable[dict[str, str]]]
CASES = [routed(a_contact(key=str(number), personal=personal(f"Trou {number}."))) for number in range(5)]
CHILDREN = ConfidentialCases(procedures={"school-meals": frozenset({"minors"})})


def with_capacity(town_config: TownConfig, capacity: int | None) -> TownConfig:
    roads = town_config.departments["voirie"].model_copy(update={"cases_per_agent": capacity})
    return town_config.model_copy(update={"departments": {**town_config.departments, "voirie": roads}})


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def nobody_logged_in(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("update desk.session set ended_at = now() where ended_at is null"))


@pytest.fixture
def turns(projection: CaseProjection, town_config: TownConfig) -> Callable[..., RoundRobin]:
    def turns(capacity: int | None, **changes: Any) -> RoundRobin:
        town = with_capacity(town_config, capacity)
        return RoundRobin(projection.cases, town, CHILDREN, timedelta(hours=1), **changes)

    return turns


async def owners(database: Database) -> Counter[str | None]:
    async with database.transaction() as connection:
        return Counter(await connection.scalars(text("select taken_by from desk.case_file")))


async def test_cases_go_to_who_has_the_fewest_up_to_the_capacity_once_each(
    agent: httpx.AsyncClient,
    colleague: httpx.AsyncClient,
    project: Project,
    turns: Callable[..., RoundRobin],
    database: Database,
) -> None:
    await project(*CASES)
    await turns(None).assign()
    assert await owners(database) == {None: 5}
    await asyncio.gather(*(turns(2).assign() for _ in range(2)))

    assert await owners(database) == {"Claude Exemple": 2, "Dominique Exemple": 2, None: 1}
    async with database.transaction() as connection:
        assert await connection.scalar(text("select count(*) from desk.act where kind = 'assigned_by_turn'")) == 4
    case = (await agent.get(f"/cases/{CASES[0].routing.conversation_id}")).text
    assert "automatiquement" in case


async def test_nobody_who_is_absent_or_has_left_gets_one(
    agent: httpx.AsyncClient,
    colleague: httpx.AsyncClient,
    project: Project,
    open_form: OpenForm,
    turns: Callable[..., RoundRobin],
    database: Database,
) -> None:
    await project(*CASES)
    until = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    await agent.post("/absences", data=await open_form(agent, "/absences", "/absences") | {"until": until})
    await turns(1).assign()
    assert await owners(database) == {"Claude Exemple": 1, None: 4}
    await turns(5, clock=lambda: datetime.now(UTC) + timedelta(hours=2)).assign()
    assert await owners(database) == {"Claude Exemple": 1, None: 4}


async def test_what_an_agent_gave_back_is_not_given_out_again(
    agent: httpx.AsyncClient,
    project: Project,
    open_form: OpenForm,
    turns: Callable[..., RoundRobin],
    database: Database,
) -> None:
    await project(CASES[0])
    await turns(3).assign()
    case = f"/cases/{CASES[0].routing.conversation_id}"
    await agent.post(f"{case}/release", data=await open_form(agent, case, f"{case}/release"))
    await turns(3).assign()
    assert await owners(database) == {None: 1}


async def test_a_confidential_case_goes_to_nobody_who_may_not_read_it(
    browser: httpx.AsyncClient,
    send: Callable[..., Awaitable[httpx.Response]],
    project: Project,
    turns: Callable[..., RoundRobin],
    database: Database,
) -> None:
    hidden = routed(a_contact(key="child", personal=personal("Cantine.")), procedure="school-meals")
    await project(hidden, CASES[0])
    await send("/login", "/login", name="Dominique Exemple", department="voirie", confidential="none")
    await turns(9).assign()

    assert await owners(database) == {"Dominique Exemple": 1, None: 1}
    async with database.transaction() as connection:
        query = text("select taken_by from desk.case_file where procedure = 'school-meals'")
        assert await connection.scalar(query) is None


async def test_a_damaged_new_case_holds_no_other(
    agent: httpx.AsyncClient, project: Project, turns: Callable[..., RoundRobin], database: Database
) -> None:
    await project(*CASES[:2])
    async with database.transaction() as connection:
        damage = text("update desk.case_file set urgency = -1 where conversation_id = :id")
        await connection.execute(damage, {"id": CASES[0].routing.conversation_id})
    await turns(9).assign()
    assert await owners(database) == {"Dominique Exemple": 1, None: 1}
