"""Tests that notes, calls, corrections, splits, links and whatever else rests on a case that changed meanwhile are shown again, with the change and what was typed."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from services.desk.tests.test_divisions import CASE as PAIR
from services.desk.tests.test_divisions import FIRST, SECOND, in_the_case
from services.desk.tests.test_pages import CONTACT, personal, routed
from services.desk.tests.test_text_correction import FIELD, LETTER, READ, RIGHT
from services.desk.tests.test_text_correction import PAGE as LETTERS_CASE
from sqlalchemy import text

from parvis.common.contract.contact import ReplyAddress
from parvis.common.storage.postgres import Database
from parvis.common.testing import a_contact

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
OpenForm = Callable[..., Awaitable[dict[str, str]]]
SOON = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
BY_PHONE = a_contact(
    key="phone", channel="phone",
    personal=personal("Rappelez-moi.").model_copy(update={"reply_channels": (ReplyAddress(channel="phone", address="+33639984701"),)}),
)  # fmt: skip
PHONED = routed(BY_PHONE)
ACTS: list[tuple[str, dict[str, str]]] = [
    ("note", {"internal": "Vu sur place."}),
    ("call-note", {"internal": "Elle rappellera."}),
    ("snooze", {"snooze-until": SOON}),
    ("assign", {"assign-to": "Claude Exemple"}),
    ("procedure", {"procedure": "road-report"}),
    ("urgency", {"urgency": "high"}),
    ("link", {"other": CONTACT.reference}),
    ("split", {"messages": SECOND.contact_id, "split-to": "voirie", "split-reason": "Une facture."}),
]


async def acts(database: Database) -> list[str]:
    async with database.transaction() as connection:
        return list(await connection.scalars(text("select kind from desk.act order by at")))


def changes(page: httpx.Response) -> str:
    return page.text.split('id="changes"')[1].split("</section>")[0]


async def note(browser: httpx.AsyncClient, open_form: OpenForm, case: str, words: str) -> None:
    form = await open_form(browser, case, f"{case}/note")
    assert (await browser.post(f"{case}/note", data=form | {"internal": words})).status_code == 303


@pytest.mark.parametrize(("action", "typed"), ACTS)
async def test_nothing_rests_on_what_the_agent_has_not_seen_and_what_they_typed_stays(
    agent: httpx.AsyncClient,
    colleague: httpx.AsyncClient,
    project: Project,
    open_form: OpenForm,
    database: Database,
    action: str,
    typed: dict[str, str],
) -> None:
    await project(in_the_case(FIRST, 1), in_the_case(SECOND, 2))
    form = await open_form(agent, PAIR, f"{PAIR}/{action}") | typed | {"text": "Ma réponse."}
    await note(colleague, open_form, PAIR, "Le chantier est prévu.")
    refused = await agent.post(f"{PAIR}/{action}", data=form)

    assert refused.status_code == 409
    assert "Le chantier est prévu." in changes(refused)
    assert "Rien n’est fait, et ce que vous avez saisi est conservé." in refused.text
    for value in (*typed.values(), "Ma réponse."):
        assert f"{value}</textarea>" in refused.text or f'value="{value}"' in refused.text
    assert await acts(database) == ["noted"]

    again = form | await open_form(agent, refused.text, f"{PAIR}/{action}")
    assert [(await agent.post(f"{PAIR}/{action}", data=again)).status_code for _ in range(2)] == [303, 303]
    assert len(await acts(database)) == 2


async def test_a_call_is_noted_once_what_came_meanwhile_was_seen(
    agent: httpx.AsyncClient, colleague: httpx.AsyncClient, project: Project, open_form: OpenForm, database: Database
) -> None:
    case = f"/cases/{PHONED.routing.conversation_id}"
    await project(PHONED)
    form = await open_form(agent, case, f"{case}/call") | {"note": "Elle est prévenue.", "then": "closed"}
    await note(colleague, open_form, case, "Déjà rappelée hier.")
    refused = await agent.post(f"{case}/call", data=form)
    assert (refused.status_code, "Déjà rappelée hier." in changes(refused)) == (409, True)
    assert "Elle est prévenue.</textarea>" in refused.text
    again = form | await open_form(agent, refused.text, f"{case}/call")
    assert (await agent.post(f"{case}/call", data=again)).status_code == 303
    assert await acts(database) == ["noted", "called"]


async def test_two_corrections_of_one_letter_are_both_there_before_one_is_kept(
    agent: httpx.AsyncClient, colleague: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(routed(LETTER))
    path, mine = f"{LETTERS_CASE}/correct-text", "Le trottoir rue des Lys est cassé."
    form, theirs = [
        await open_form(who, LETTERS_CASE, path) | {"letter": LETTER.contact_id} for who in (agent, colleague)
    ]
    assert (await colleague.post(path, data=theirs | {FIELD: RIGHT})).status_code == 303
    refused = await agent.post(path, data=form | {FIELD: mine})
    assert refused.status_code == 409
    assert "Claude Exemple a corrigé" in changes(refused)
    assert RIGHT in changes(refused)
    assert f"{mine}</textarea>" in refused.text
    assert READ in refused.text

    again = form | await open_form(agent, refused.text, path) | {FIELD: mine}
    assert (await agent.post(path, data=again)).status_code == 303
    assert mine in (await agent.get(LETTERS_CASE)).text


async def test_the_form_that_comes_back_is_open(
    agent: httpx.AsyncClient, colleague: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(in_the_case(FIRST, 1), in_the_case(SECOND, 2))
    for action, panel in (("assign", 'id="work"'), ("split", 'id="split"'), ("note", 'id="note"')):
        form = await open_form(agent, PAIR, f"{PAIR}/{action}") | dict(ACTS)[action]
        await note(colleague, open_form, PAIR, f"Avant {action}.")
        refused = await agent.post(f"{PAIR}/{action}", data=form)
        assert f"{panel} open>" in refused.text


API_ACTS: list[tuple[str, dict[str, Any]]] = [
    ("note", {"text": "Vu sur place."}),
    ("call", {"text": "Elle est prévenue."}),
    ("snooze", {"until": SOON}),
    ("wake", {}),
    ("assign", {"colleague": "Claude Exemple"}),
    ("procedure", {"procedure": "road-report"}),
    ("urgency", {"urgency": "high"}),
    ("link", {"reference": CONTACT.reference}),
    ("split", {"contact_ids": [SECOND.contact_id], "to_department": "voirie", "reason": "Une facture."}),
]


@pytest.mark.usefixtures("colleague")
@pytest.mark.parametrize(("act", "body"), API_ACTS)
async def test_a_program_names_the_version_that_it_has_seen(
    browser: httpx.AsyncClient, project: Project, act: str, body: dict[str, Any]
) -> None:
    who = {"agent": "Dominique Exemple", "department": "voirie"}
    browser.headers["authorization"] = "Bearer a token for tests only"
    await project(in_the_case(FIRST, 1), in_the_case(SECOND, 2))
    if act == "wake":
        await browser.post(f"/api/v1{PAIR}/snooze", json=who | {"until": SOON})
    etag = (await browser.get(f"/api/v1{PAIR}", params=who)).headers["etag"]
    await browser.post(f"/api/v1{PAIR}/note", json=who | {"text": "Le chantier est prévu."})
    stale = await browser.post(f"/api/v1{PAIR}/{act}", json=who | body, headers={"if-match": etag})
    assert (stale.status_code, stale.json()["detail"]) == (412, "case_changed")
    assert (await browser.post(f"/api/v1{PAIR}/{act}", json=who | body)).status_code == 200
