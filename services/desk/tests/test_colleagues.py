"""Tests that a case is assigned only to somebody who works in the department and may see it, and that nobody else stands in for an absent agent."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import pytest_asyncio
from services.desk.tests.conftest import open_form
from services.desk.tests.test_pages import CASE, CONTACT, personal, routed
from sqlalchemy import text

from parvis.common.runtime.service import Service
from parvis.common.storage.postgres import Database
from parvis.common.testing import a_contact
from parvis.desk.decide.access_rights import scope_of
from parvis.desk.models.accounts import CaseAccessFacts, ConfidentialCases
from parvis.desk.store.department_agents import propose_names

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
LogIn = Callable[..., Awaitable[httpx.AsyncClient]]
API = {"authorization": "Bearer a token for tests only"}
SOON = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
UNKNOWN = "Personne de ce nom ne travaille dans ce service."
NOT_ALLOWED = "Cette personne n’a pas le droit de voir ce dossier."
CHILD = a_contact(key="child", procedure="school-meals", personal=personal("Mon fils est allergique."))
MINORS = routed(CHILD, procedure="school-meals")
CHILDS_CASE = f"/cases/{MINORS.routing.conversation_id}"


@pytest_asyncio.fixture(loop_scope="module")
async def log_in(service: Service, database: Database) -> AsyncGenerator[LogIn]:
    """Logs somebody in, in a browser of their own; an agent of the roads department unless stated otherwise."""
    opened: list[httpx.AsyncClient] = []

    async def log_in(name: str, **chosen: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
        http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8130")
        opened.append(http)
        form = await open_form(http, "/login", "/login")
        await http.post("/login", data=form | {"name": name, "department": "voirie"} | chosen)
        return http

    yield log_in
    for http in opened:
        await http.aclose()


async def assign(browser: httpx.AsyncClient, name: str, case: str = CASE, **fields: str) -> httpx.Response:
    form = await open_form(browser, case, f"{case}/assign")
    return await browser.post(f"{case}/assign", data=form | {"assign-to": name} | fields)


async def owners(database: Database) -> dict[str, str | None]:
    async with database.transaction() as connection:
        rows = await connection.execute(text("select conversation_id, taken_by from desk.case_file"))
        return {f"/cases/{row[0]}": row[1] for row in rows}


@pytest.mark.parametrize(
    ("name", "login"),
    [
        ("Nemo Exemple", None),
        ("Ailleurs Exemple", {"department": "etat-civil"}),
        ("Guichet Exemple", {"role": "counter"}),
        ("Régie Exemple", {"role": "administrator"}),
    ],
)
async def test_a_name_that_no_agent_of_the_department_has_is_refused_and_the_texts_stay(
    agent: httpx.AsyncClient,
    project: Project,
    log_in: LogIn,
    database: Database,
    name: str,
    login: dict[str, str] | None,
) -> None:
    await project(routed(CONTACT))
    if login is not None:
        await log_in(name, **login)
    answer = await assign(agent, name, text="Une équipe passera.")
    assert (answer.status_code, UNKNOWN in answer.text) == (422, True)
    assert f'value="{name}"' in answer.text
    assert "Une équipe passera.</textarea>" in answer.text
    assert await owners(database) == {CASE: None}


async def test_somebody_who_left_is_nobody_any_more(
    agent: httpx.AsyncClient, project: Project, log_in: LogIn, database: Database
) -> None:
    await project(routed(CONTACT))
    await log_in("Partie Exemple")
    async with database.transaction() as connection:
        await connection.execute(text("update desk.account set disabled_at = now() where name = 'Partie Exemple'"))
    assert UNKNOWN in (await assign(agent, "Partie Exemple")).text


async def test_a_confidential_case_goes_only_to_who_may_see_it_and_only_they_are_proposed(
    agent: httpx.AsyncClient, project: Project, log_in: LogIn, database: Database
) -> None:
    await project(MINORS)
    await log_in("Ouvert Exemple", confidential="none")
    await log_in("Habilité Exemple")
    page = await assign(agent, "Ouvert  Exemple", CHILDS_CASE)
    assert (page.status_code, NOT_ALLOWED in page.text) == (422, True)
    proposed = re.findall(r'<option value="([^"]+)"></option>', page.text)
    assert {"Habilité Exemple", "Dominique Exemple"} <= set(proposed)
    assert "Ouvert Exemple" not in proposed

    assert (await assign(agent, "Habilité  Exemple", CHILDS_CASE)).status_code == 303
    assert await owners(database) == {CHILDS_CASE: "Habilité Exemple"}


async def test_a_program_gets_422_for_both(
    agent: httpx.AsyncClient, project: Project, log_in: LogIn, database: Database
) -> None:
    await project(MINORS)
    await log_in("Ouvert Exemple", confidential="none")
    for name, why in (("Nemo Exemple", "unknown_colleague"), ("Ouvert Exemple", "colleague_not_allowed")):
        body = {"agent": "Dominique Exemple", "department": "voirie", "colleague": name}
        answer = await agent.post(f"/api/v1{CHILDS_CASE}/assign", json=body, headers=API)
        assert (answer.status_code, answer.json()["detail"]) == (422, why)
    assert await owners(database) == {CHILDS_CASE: None}


async def test_of_several_cases_those_that_the_colleague_may_not_see_are_left_out(
    agent: httpx.AsyncClient, project: Project, log_in: LogIn, database: Database
) -> None:
    await project(routed(CONTACT), MINORS)
    await log_in("Ouvert Exemple", confidential="none")
    chosen = {"act": "assign", "case": [CASE.split("/")[-1], CHILDS_CASE.rsplit("/", maxsplit=1)[-1]]}
    page = (await agent.post("/queue/bulk", data=await open_form(agent, "/queue", "/queue/bulk") | chosen)).text
    tokens = re.findall(r'name="case" value="([^"]+)"', page)
    form = await open_form(agent, page, "/queue/bulk") | {"do": "act", "case": tokens}
    refused = await agent.post("/queue/bulk", data=form | {"assign-to": "Nemo Exemple"})
    assert (refused.status_code, UNKNOWN in refused.text, 'value="Nemo Exemple"' in refused.text) == (422, True, True)

    result = await agent.post("/queue/bulk", data=form | {"assign-to": "Ouvert Exemple"})
    assert NOT_ALLOWED in (await agent.get(result.headers["location"])).text
    assert await owners(database) == {CASE: "Ouvert Exemple", CHILDS_CASE: None}


async def test_a_deputy_works_in_the_department_and_gets_no_case_that_is_closed_to_them(
    agent: httpx.AsyncClient, project: Project, log_in: LogIn, database: Database
) -> None:
    await project(routed(CONTACT), MINORS)
    await log_in("Ouvert Exemple", confidential="none")
    for case in (CASE, CHILDS_CASE):
        await agent.post(f"{case}/take", data=await open_form(agent, case, f"{case}/take"))
    absence = {"until": SOON, "deputy": "Nemo Exemple"}
    refused = await agent.post("/absences", data=await open_form(agent, "/absences", "/absences") | absence)
    assert (refused.status_code, 'value="Nemo Exemple"' in refused.text) == (422, True)
    assert "choisissez quelqu’un d’autre qui travaille dans le service" in refused.text

    form = await open_form(agent, "/absences", "/absences") | {"until": SOON, "deputy": "Ouvert  Exemple"}
    assert (await agent.post("/absences", data=form)).status_code == 303
    assert await owners(database) == {CASE: "Ouvert Exemple", CHILDS_CASE: None}


async def test_a_department_that_is_confidential_as_a_whole_proposes_only_who_may_see_it(
    log_in: LogIn, database: Database
) -> None:
    rules = ConfidentialCases(departments={"social-ccas": frozenset({"social"})})
    await log_in("Ouvert Exemple", department="social-ccas", confidential="none")
    await log_in("Habilité Exemple", department="social-ccas")
    at = datetime.now(UTC)
    async with database.transaction() as connection:
        of_department = await propose_names(connection, scope_of(rules, "social-ccas", None, ()), at)
        of_anything = await propose_names(connection, CaseAccessFacts("social-ccas"), at)
    assert (of_department, of_anything) == (("Habilité Exemple",), ("Habilité Exemple", "Ouvert Exemple"))
