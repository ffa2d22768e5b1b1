"""Tests snoozing, assigning and correcting a case: each is an act with its author, and a new message ends a snooze."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from services.desk.tests.test_pages import CASE, CONTACT, personal, routed
from sqlalchemy import text

from parvis.common.storage.postgres import Database
from parvis.common.testing import a_contact

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
OpenForm = Callable[..., Awaitable[dict[str, str]]]
SOON = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
FAR = datetime.now(UTC) + timedelta(days=30)


async def act(browser: httpx.AsyncClient, open_form: OpenForm, action: str, **fields: str) -> httpx.Response:
    form = await open_form(browser, CASE, f"{CASE}/{action}") | {n.replace("_", "-"): v for n, v in fields.items()}
    return await browser.post(f"{CASE}/{action}", data=form)


async def listed(browser: httpx.AsyncClient) -> list[str]:
    shown = [(show, (await browser.get(f"/queue?show={show}")).text) for show in ("open", "mine", "snoozed", "waiting")]
    return [show for show, page in shown if f'href="{CASE}"' in page]


async def test_a_snoozed_case_leaves_the_list_until_its_day_or_its_due_date(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, database: Database
) -> None:
    await project(routed(CONTACT, answer_due_at=FAR))
    answer = await act(agent, open_form, "snooze", snooze_until=SOON)
    assert answer.headers["location"].endswith("?notice=snoozed#notice")
    assert await listed(agent) == ["snoozed"]
    assert "a reporté le dossier au" in (await agent.get(CASE)).text

    async with database.transaction() as connection:
        await connection.execute(text("update desk.case_file set snoozed_until = now()"))
    assert await listed(agent) == ["open"]


async def test_no_case_sleeps_beyond_its_due_date(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, database: Database
) -> None:
    due_at = datetime.now(UTC) + timedelta(days=1)
    await project(routed(CONTACT, answer_due_at=due_at))
    await act(agent, open_form, "snooze", snooze_until=SOON)

    async with database.transaction() as connection:
        assert await connection.scalar(text("select snoozed_until from desk.case_file")) == due_at


@pytest.mark.parametrize("ending", ["message", "wake", "take"])
async def test_a_message_or_an_agent_ends_a_snooze(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, ending: str
) -> None:
    await project(routed(CONTACT, answer_due_at=FAR))
    await act(agent, open_form, "snooze", snooze_until=SOON)
    if ending == "message":
        later = a_contact(key="later", personal=personal("Alors ?"))
        await project(routed(later, conversation_id=CASE.split("/")[-1], reference=CONTACT.reference, sequence=2))
    else:
        await act(agent, open_form, ending)

    assert await listed(agent) == (["open", "mine"] if ending == "take" else ["open"])


@pytest.mark.parametrize(
    ("action", "fields", "field"),
    [
        ("snooze", {"snooze_until": "2020-01-01"}, "snooze-until"),
        ("snooze", {"snooze_until": "demain"}, "snooze-until"),
        ("snooze", {"snooze_until": "9999-01-01"}, "snooze-until"),
        ("assign", {"assign_to": "  "}, "assign-to"),
        ("procedure", {"procedure": "nothing"}, "procedure"),
        ("urgency", {"urgency": "whenever"}, "urgency"),
    ],
)
async def test_what_makes_no_sense_is_refused_at_its_field(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, action: str, fields: dict[str, str], field: str
) -> None:
    await project(routed(CONTACT))
    answer = await act(agent, open_form, action, **fields)

    assert answer.status_code == 422
    assert f'<a href="#f-{field}">' in answer.text


async def test_a_case_is_assigned_to_a_colleague_who_is_then_proposed(
    agent: httpx.AsyncClient, colleague: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(routed(CONTACT))
    await act(agent, open_form, "assign", assign_to=" Claude  Exemple ")
    page = (await agent.get(CASE)).text

    assert "Dominique Exemple a confié le dossier à Claude Exemple." in page
    assert '<option value="Claude Exemple">' in page
    assert await listed(colleague) == ["open", "mine"]


async def test_procedure_and_urgency_are_corrected_with_their_author(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(routed(CONTACT))
    await act(agent, open_form, "procedure", procedure="water-leak")
    await act(agent, open_form, "urgency", urgency="high")
    page = (await agent.get(CASE)).text

    assert "Dominique Exemple a corrigé la démarche\xa0:" in page
    assert "Dominique Exemple a corrigé l’urgence\xa0: urgent." in page
    assert '<option value="water-leak" selected>' in page
    assert "urgent</span>" in (await agent.get("/queue")).text
