"""Tests that the open cases of an absent agent return once to the list or to who stands in, and that assigning to them warns."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from services.desk.tests.test_pages import CASE, CONTACT, personal, routed
from sqlalchemy import text

from parvis.common.storage.postgres import Database
from parvis.common.testing import a_contact
from parvis.common.town.models import TownConfig
from parvis.desk.consume.case_projection import CaseProjection
from parvis.desk.models.accounts import ConfidentialCases
from parvis.desk.store.absences import return_cases_of_absent

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
OpenForm = Callable[..., Awaitable[dict[str, str]]]
Send = Callable[..., Awaitable[httpx.Response]]
LAST_DAY = (datetime.now(UTC) + timedelta(days=3)).date()
SOON = LAST_DAY.isoformat()
OTHER = routed(a_contact(key="other", personal=personal("Un banc cassé.")))


async def act(browser: httpx.AsyncClient, open_form: OpenForm, action: str, **fields: str) -> httpx.Response:
    form = await open_form(browser, CASE, f"{CASE}/{action}") | {n.replace("_", "-"): v for n, v in fields.items()}
    return await browser.post(f"{CASE}/{action}", data=form)


async def note(browser: httpx.AsyncClient, open_form: OpenForm, **fields: str) -> httpx.Response:
    form = await open_form(browser, "/absences", "/absences")
    form.pop("agent", None)
    return await browser.post("/absences", data=form | {"until": SOON} | fields)


async def owner(database: Database) -> str | None:
    async with database.transaction() as connection:
        query = text("select taken_by from desk.case_file where conversation_id = :id")
        return await connection.scalar(query, {"id": CASE.split("/")[-1]})


async def test_open_cases_return_to_the_list_with_an_act_and_others_stay(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, database: Database
) -> None:
    await project(routed(CONTACT), OTHER)
    await act(agent, open_form, "take")
    assert (await note(agent, open_form)).headers["location"] == "/absences?notice=absence_noted"

    assert await owner(database) is None
    page = (await agent.get(CASE)).text
    assert "Dominique Exemple est absent\xa0: le dossier est de nouveau sans responsable." in page
    assert "<strong>Dominique Exemple</strong>" in (await agent.get("/absences")).text
    english = (await agent.get("/absences", headers={"accept-language": "en"})).text
    assert f"until {LAST_DAY.day} {LAST_DAY:%B %Y} inclusive." in english
    async with database.transaction() as connection:
        assert await connection.scalar(text("select count(*) from desk.act where kind = 'returned_absent'")) == 1


async def test_a_deputy_gets_them_unless_absent_as_well(
    agent: httpx.AsyncClient, colleague: httpx.AsyncClient, project: Project, open_form: OpenForm, database: Database
) -> None:
    await project(routed(CONTACT))
    await act(agent, open_form, "take")
    await note(agent, open_form, deputy="Claude  Exemple")
    assert await owner(database) == "Claude Exemple"
    assert "Confié à Claude Exemple, qui remplace un collègue absent." in (await agent.get(CASE)).text

    await note(colleague, open_form, deputy="Dominique Exemple")
    assert await owner(database) is None


async def test_a_case_returns_once_and_what_is_assigned_in_spite_of_the_absence_stays(
    agent: httpx.AsyncClient,
    colleague: httpx.AsyncClient,
    project: Project,
    projection: CaseProjection,
    open_form: OpenForm,
    database: Database,
    town_config: TownConfig,
) -> None:
    await project(routed(CONTACT))
    await note(agent, open_form)
    warned = await act(colleague, open_form, "assign", assign_to="Dominique Exemple")
    assert warned.status_code == 422
    assert "Cette personne est absente." in warned.text
    assert await owner(database) is None
    await act(colleague, open_form, "assign", assign_to="Dominique Exemple", although_absent="yes")
    for _ in range(2):
        await return_cases_of_absent(projection.cases, town_config, ConfidentialCases())
    assert await owner(database) == "Dominique Exemple"


async def test_a_case_that_a_message_reopens_during_the_absence_returns(
    agent: httpx.AsyncClient,
    project: Project,
    projection: CaseProjection,
    open_form: OpenForm,
    database: Database,
    town_config: TownConfig,
) -> None:
    await project(routed(CONTACT))
    await act(agent, open_form, "take")
    await act(agent, open_form, "close")
    await note(agent, open_form)
    assert await owner(database) == "Dominique Exemple"
    later = a_contact(key="later", personal=personal("Le trou est revenu."))
    await project(routed(later, conversation_id=CASE.split("/")[-1], reference=CONTACT.reference, sequence=2))
    await return_cases_of_absent(projection.cases, town_config, ConfidentialCases())
    assert await owner(database) is None


async def test_assigning_several_cases_warns_as_well(
    agent: httpx.AsyncClient, colleague: httpx.AsyncClient, project: Project, open_form: OpenForm, database: Database
) -> None:
    await project(routed(CONTACT))
    await note(agent, open_form)
    form = await open_form(colleague, "/queue", "/queue/bulk") | {"act": "assign", "case": CASE.split("/")[-1]}
    page = (await colleague.post("/queue/bulk", data=form)).text
    token = page.split('name="case" value="')[1].split('"')[0]
    form = await open_form(colleague, page, "/queue/bulk") | {
        "case": token,
        "do": "act",
        "assign-to": "Dominique Exemple",
    }
    warned = await colleague.post("/queue/bulk", data=form)
    assert (warned.status_code, "Cette personne est absente." in warned.text) == (422, True)
    await colleague.post("/queue/bulk", data=form | {"although-absent": "yes"})
    assert await owner(database) == "Dominique Exemple"


@pytest.mark.parametrize(
    "fields", [{"until": "2020-01-01"}, {"until": "9999-12-31"}, {"until": "x"}, {"deputy": "Dominique Exemple"}]
)
async def test_a_day_or_deputy_without_sense_is_refused(
    agent: httpx.AsyncClient, open_form: OpenForm, fields: dict[str, str]
) -> None:
    assert (await note(agent, open_form, **fields)).status_code == 422


async def test_only_a_supervisor_notes_the_absence_of_somebody_else(
    agent: httpx.AsyncClient,
    browser: httpx.AsyncClient,
    send: Send,
    project: Project,
    open_form: OpenForm,
    database: Database,
) -> None:
    await project(routed(CONTACT))
    await act(agent, open_form, "take")
    assert (await note(agent, open_form, agent="Claude Exemple")).status_code == 403
    await send("/absences", "/logout")
    await send("/login", "/login", name="Camille Exemple", department="voirie", role="supervisor")
    assert (await note(browser, open_form, agent="Dominique Exemple")).status_code == 303
    assert await owner(database) is None
    back = await open_form(browser, "/absences", "/absences")
    await browser.post("/absences", data=back | {"do": "end"})
    assert "Personne n’est absent." in (await browser.get("/absences")).text


async def test_a_damaged_case_of_an_absent_agent_holds_no_other(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, database: Database
) -> None:
    await project(routed(CONTACT), OTHER)
    async with database.transaction() as connection:
        await connection.execute(text("update desk.case_file set taken_by = 'Dominique Exemple'"))
        damage = text("update desk.case_file set urgency = -1 where conversation_id = :id")
        await connection.execute(damage, {"id": OTHER.routing.conversation_id})
    await note(agent, open_form)
    assert await owner(database) is None


async def test_a_program_is_warned_as_well(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, database: Database
) -> None:
    await project(routed(CONTACT))
    await note(agent, open_form)
    body = {"agent": "Claude Exemple", "department": "voirie", "colleague": "Dominique Exemple"}
    key = {"authorization": "Bearer a token for tests only"}
    warned = await agent.post(f"/api/v1{CASE}/assign", json=body, headers=key)
    assert (warned.status_code, warned.json()["detail"]) == (409, "colleague_absent")
    elsewhere = await agent.post(f"/api/v1{CASE}/assign", json=body | {"department": "etat-civil"}, headers=key)
    assert elsewhere.status_code == 404
    await agent.post(f"/api/v1{CASE}/assign", json=body | {"although_absent": True}, headers=key)
    assert await owner(database) == "Dominique Exemple"
