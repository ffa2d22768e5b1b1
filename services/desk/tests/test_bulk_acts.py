"""Tests acts on several cases: what is shown before, what happens to each, and that they are undone where nothing came since."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from html import unescape

import httpx
import pytest
from services.desk.tests.test_pages import personal, routed
from sqlalchemy import text

from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.reply import ReplyRequested
from parvis.common.storage.postgres import Database
from parvis.common.testing import a_contact

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
OpenForm = Callable[..., Awaitable[dict[str, str]]]
MAIL = ContactPoint(kind="email", value="ines@citoyens.example")
BY_SMS = routed(a_contact(key="sms", personal=personal("Un nid-de-poule rue Haute.")))
BY_MAIL = routed(
    a_contact(
        key="mail", channel="email", personal=personal("Trou rue Haute.", **{"from": MAIL, "display_name": "Inès"})
    )
)
NAMELESS = routed(a_contact(key="none", channel="web", personal=personal("Trou !", **{"from": None})))
EVERY = (BY_SMS, BY_MAIL, NAMELESS)
ELSEWHERE = routed(a_contact(key="else", personal=personal("Un acte.")), department="etat-civil")
SOON = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
TEXT = {"text": "Nous passons jeudi.", "then": "closed"}


def ids(*events: object) -> list[str]:
    return [event.routing.conversation_id for event in events]  # pyright: ignore[reportAttributeAccessIssue]


async def preview(browser: httpx.AsyncClient, open_form: OpenForm, act: str, cases: list[str], **more: str) -> str:
    form = await open_form(browser, "/queue", "/queue/bulk")
    return (await browser.post("/queue/bulk", data=form | {"act": act, "case": cases} | more)).text


async def confirm(browser: httpx.AsyncClient, open_form: OpenForm, page: str, **fields: str) -> httpx.Response:
    tokens = [unescape(token) for token in re.findall(r'name="case" value="([^"]+)" checked', page)]
    form = await open_form(browser, page, "/queue/bulk")
    return await browser.post("/queue/bulk", data=form | {"case": tokens, "do": "act"} | fields)


async def states(database: Database) -> set[tuple[str, str | None]]:
    async with database.transaction() as connection:
        return {tuple(row) for row in await connection.execute(text("select state, taken_by from desk.case_file"))}


async def test_the_queue_offers_boxes_and_the_page_shows_what_will_happen_to_which(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, database: Database
) -> None:
    await project(*EVERY, ELSEWHERE)
    queue = (await agent.get("/queue")).text
    assert queue.count('form="bulk" name="case"') == 3
    page = await preview(agent, open_form, "reply", ids(*EVERY, ELSEWHERE))

    assert "2 dossiers. Décochez" in page
    assert "06 39 98 00 01" in page.replace("\xa0", " ")
    assert "ines@citoyens.example" in page
    assert "2 dossiers laissés de côté" in page
    assert "Choisissez un canal et donnez l’adresse." in page
    assert "Ce dossier n’est plus dans le service." in page
    assert ELSEWHERE.routing.reference not in page
    assert await states(database) == {("open", None)}


async def test_one_text_answers_each_on_their_own_channel_and_is_withdrawn_at_once(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, published: Published, database: Database
) -> None:
    await project(*EVERY)
    page = await preview(agent, open_form, "reply", ids(*EVERY))
    answer = await confirm(agent, open_form, page, **TEXT)
    assert answer.status_code == 303
    sent = [ReplyRequested.model_validate_json(value) for value in await published("reply.requested")]
    assert {(r.personal.contact_points[0].value, r.personal.text) for r in sent} == {
        ("+33639980001", TEXT["text"]),
        ("ines@citoyens.example", TEXT["text"]),
    }
    assert len({r.reference for r in sent}) == 2

    result = answer.headers["location"]
    shown = (await agent.get(result)).text
    assert "2 sur 2" in shown
    assert "Les 2 réponses partent dans" in shown
    await agent.post(f"{result}/undo", data=await open_form(agent, result, f"{result}/undo"))
    assert not await published("reply.requested")
    assert (await agent.get(result)).text.count("annulé</span>") == 2
    assert await states(database) == {("open", None)}


async def test_a_form_sent_twice_acts_once(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, published: Published
) -> None:
    await project(*EVERY)
    page = await preview(agent, open_form, "reply", ids(*EVERY))
    first, answer = [await confirm(agent, open_form, page, **TEXT) for _ in range(2)]
    assert first.headers["location"] == answer.headers["location"]
    assert "2 sur 2" in (await agent.get(answer.headers["location"])).text
    assert len(await published("reply.requested")) == 2


@pytest.mark.parametrize(
    ("act", "fields", "after"),
    [
        ("take", {}, ("open", "Dominique Exemple")),
        ("assign", {"assign-to": "Claude Exemple"}, ("open", "Claude Exemple")),
        ("snooze", {"snooze-until": SOON}, ("open", None)),
        ("close", {}, ("closed", None)),
    ],
)
@pytest.mark.usefixtures("colleague")
async def test_an_act_is_done_in_every_case_with_an_entry_each_and_undone(
    agent: httpx.AsyncClient,
    project: Project,
    open_form: OpenForm,
    database: Database,
    act: str,
    fields: dict[str, str],
    after: tuple[str, str | None],
) -> None:
    await project(*EVERY)
    result = (await confirm(agent, open_form, await preview(agent, open_form, act, ids(*EVERY)), **fields)).headers
    assert await states(database) == {after}
    audited = text("select count(*) from desk.audit_entry where action = 'case.change' and subject = any(:ids)")
    async with database.transaction() as connection:
        assert await connection.scalar(audited, {"ids": ids(*EVERY)}) >= 3  # pyright: ignore[reportOptionalOperand]

    page = result["location"]
    await agent.post(f"{page}/undo", data=await open_form(agent, page, f"{page}/undo"))
    assert await states(database) == {("open", None)}
    case = (await agent.get(f"/cases/{ids(BY_SMS)[0]}")).text
    assert "Dominique Exemple a annulé une action groupée" in case
    assert "reporté au" not in case


async def test_a_case_that_changed_meanwhile_is_left_alone_before_and_after(
    agent: httpx.AsyncClient, colleague: httpx.AsyncClient, project: Project, open_form: OpenForm, database: Database
) -> None:
    await project(*EVERY)
    page = await preview(agent, open_form, "close", ids(*EVERY))
    first, second, _ = (f"/cases/{one}" for one in ids(*EVERY))
    await colleague.post(f"{first}/take", data=await open_form(colleague, first, f"{first}/take"))
    result = (await confirm(agent, open_form, page)).headers["location"]
    shown = (await agent.get(result)).text
    assert "2 sur 3" in shown
    assert "Ce dossier a changé depuis que la page l’a montré" in shown

    await colleague.post(f"{second}/reopen", data=await open_form(colleague, second, f"{second}/reopen"))
    await agent.post(f"{result}/undo", data=await open_form(agent, result, f"{result}/undo"))
    shown = (await agent.get(result)).text
    assert shown.count("non annulé</span>") == 1
    assert await states(database) == {("open", "Claude Exemple"), ("open", None)}


@pytest.mark.parametrize(("act", "field"), [("assign", "assign-to"), ("reply", "text"), ("snooze", "snooze-until")])
async def test_a_missing_value_is_asked_for_and_nothing_happens(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, database: Database, act: str, field: str
) -> None:
    await project(*EVERY)
    answer = await confirm(agent, open_form, await preview(agent, open_form, act, ids(*EVERY)), **{field: " "})
    assert answer.status_code == 422
    assert f'<a href="#f-{field}">' in answer.text
    assert 'name="case" value="' in answer.text
    assert await states(database) == {("open", None)}


async def test_confidential_cases_without_a_right_are_left_out_unnamed(
    browser: httpx.AsyncClient, project: Project, open_form: OpenForm, send: Callable[..., Awaitable[httpx.Response]]
) -> None:
    hidden = routed(a_contact(key="child", personal=personal("Cantine de Zoé.")), procedure="school-meals")
    await project(BY_SMS, hidden)
    await send("/login", "/login", name="Dominique Exemple", department="voirie", confidential="none")
    page = await preview(browser, open_form, "take", ids(BY_SMS, hidden))

    assert "Vos droits n’ouvrent pas ce dossier." in page
    assert "Zoé" not in page
    forged = await open_form(browser, page, "/queue/bulk")
    data = forged | {"case": [f"{ids(hidden)[0]} 1.0.0.0.0.0 "], "do": "act"}
    result = (await browser.post("/queue/bulk", data=data)).headers["location"]
    assert "0 sur 1" in (await browser.get(result)).text


async def test_a_colleague_neither_sees_nor_undoes_the_act(
    agent: httpx.AsyncClient, colleague: httpx.AsyncClient, project: Project, open_form: OpenForm, database: Database
) -> None:
    await project(*EVERY)
    result = (await confirm(agent, open_form, await preview(agent, open_form, "close", ids(*EVERY)))).headers[
        "location"
    ]
    assert (await colleague.get(result)).status_code == 404
    own = await open_form(colleague, "/me", "/me/sessions")
    await colleague.post(f"{result}/undo", data=own)
    assert await states(database) == {("closed", None)}


async def test_nothing_ticked_says_so(agent: httpx.AsyncClient, project: Project, open_form: OpenForm) -> None:
    await project(*EVERY)
    assert "Aucun dossier à traiter ainsi" in await preview(agent, open_form, "close", ["not-an-id"])


async def test_what_an_agent_has_begun_to_write_in_a_case_stays(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(BY_SMS)
    case = f"/cases/{ids(BY_SMS)[0]}"
    draft = await open_form(agent, case, f"{case}/draft") | {"text": "Brouillon en cours."}
    await agent.post(f"{case}/draft", data=draft)
    await confirm(agent, open_form, await preview(agent, open_form, "reply", ids(BY_SMS)), **TEXT)

    page = (await agent.get(case)).text
    assert "Brouillon en cours.</textarea>" in page
    assert TEXT["text"] in page
