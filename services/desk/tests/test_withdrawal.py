"""Tests that an answer leaves ten seconds after the click, to the address that was shown, and can be withdrawn until then."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from services.desk.tests.test_pages import CASE, CONTACT, personal, routed
from sqlalchemy import func, text, update

from parvis.common.contract.contact import ReplyAddress
from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.routing.decisions import CaseUpdated
from parvis.common.storage.postgres import Database
from parvis.common.testing import a_contact
from parvis.desk.schema.case_tables import outbox

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
OpenForm = Callable[..., Awaitable[dict[str, str]]]
ANSWER = {"text": "Une équipe passera <jeudi>.", "channel": "", "then": "closed", "do": "send"}
OTHER = a_contact(key="other", personal=personal("Un banc cassé."))
OTHER_CASE = routed(OTHER)


async def answer(browser: httpx.AsyncClient, open_form: OpenForm, **more: str) -> httpx.Response:
    return await browser.post(f"{CASE}/reply", data=await open_form(browser, CASE, f"{CASE}/reply") | ANSWER | more)


async def withdraw(browser: httpx.AsyncClient, open_form: OpenForm, page: str = CASE) -> httpx.Response:
    return await browser.post(f"{CASE}/withdraw", data=await open_form(browser, page, f"{CASE}/withdraw"))


async def test_an_answer_is_due_in_ten_seconds_and_is_withdrawn_with_everything_it_changed(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, published: Published, database: Database
) -> None:
    await project(routed(CONTACT))
    before = datetime.now(UTC)
    assert (await answer(agent, open_form)).status_code == 303
    async with database.transaction() as connection:
        due_at = await connection.scalar(text("select due_at from desk.outbox where due_at is not null"))
    assert timedelta(seconds=9) < due_at - before < timedelta(seconds=60)  # pyright: ignore[reportOperatorIssue]
    (value,) = await published("reply.requested")
    assert ReplyRequested.model_validate_json(value).personal.contact_points[0].value == "+33639980001"
    assert "part dans" in (await agent.get("/queue")).text

    answered = await withdraw(agent, open_form)
    assert answered.headers["location"].endswith("?notice=withdrawn#end")
    assert not await published("reply.requested")
    page = (await agent.get(CASE)).text
    assert "a annulé cette réponse avant son départ" in page
    assert "Une équipe passera &lt;jeudi&gt;.</textarea>" in page
    assert 'class="notice leaving"' not in page
    last = CaseUpdated.model_validate_json((await published("case.updated"))[-1])
    assert last.state == "open"
    assert f'href="{CASE}"' in (await agent.get("/queue?show=unassigned")).text


async def test_an_answer_withdrawn_twice_is_withdrawn_once(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(routed(CONTACT))
    await answer(agent, open_form)
    form = await open_form(agent, CASE, f"{CASE}/withdraw")
    for _ in range(2):
        answered = await agent.post(f"{CASE}/withdraw", data=form)
        assert answered.headers["location"].endswith("?notice=withdrawn#end")
    assert (await agent.get(CASE)).text.count("a annulé cette réponse") == 1


@pytest.mark.parametrize("happened", ["sent_at", "due_at"])
async def test_an_answer_that_is_due_is_not_withdrawn(
    agent: httpx.AsyncClient,
    project: Project,
    open_form: OpenForm,
    published: Published,
    database: Database,
    happened: str,
) -> None:
    await project(routed(CONTACT))
    await answer(agent, open_form)
    form = await open_form(agent, CASE, f"{CASE}/withdraw")
    async with database.transaction() as connection:
        past = {happened: func.now() - timedelta(seconds=1)}
        await connection.execute(update(outbox).where(outbox.c.due_at.is_not(None)).values(past))
    late = await agent.post(f"{CASE}/withdraw", data=form)

    assert late.headers["location"].endswith("?notice=too_late#notice")
    assert "Trop tard" in (await agent.get(f"{CASE}?notice=too_late")).text
    assert len(await published("reply.requested")) == 1
    assert "a annulé" not in (await agent.get(CASE)).text


async def test_a_colleague_neither_sees_nor_withdraws_it(
    agent: httpx.AsyncClient,
    colleague: httpx.AsyncClient,
    project: Project,
    open_form: OpenForm,
    published: Published,
) -> None:
    await project(routed(CONTACT))
    await answer(agent, open_form)
    reply = (await open_form(agent, CASE, f"{CASE}/withdraw"))["reply"]
    assert 'class="notice leaving"' not in (await colleague.get("/queue")).text

    theirs = await open_form(colleague, CASE, f"{CASE}/note")
    for wrong in (reply, "not-an-id", "00000000-0000-0000-0000-000000000000"):
        await colleague.post(f"{CASE}/withdraw", data=theirs | {"reply": wrong})
    assert len(await published("reply.requested")) == 1


async def test_the_address_is_the_one_that_was_shown_whatever_comes_after_the_click(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, published: Published
) -> None:
    await project(routed(CONTACT))
    await answer(agent, open_form)
    wish = (ReplyAddress(channel="email", address="autre@citoyens.example"),)
    later = a_contact(key="later", personal=personal("Écrivez-moi ailleurs.", reply_channels=wish))
    await project(routed(later, conversation_id=CASE.split("/")[-1], reference=CONTACT.reference, sequence=2))

    (value,) = await published("reply.requested")
    assert b"autre@citoyens.example" not in value
    assert b"+33639980001" in value


async def test_what_was_written_meanwhile_stays_below_the_withdrawn_text(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(routed(CONTACT))
    await answer(agent, open_form, then="open")
    draft = await open_form(agent, CASE, f"{CASE}/draft")
    await agent.post(f"{CASE}/draft", data=draft | {"text": "Et aussi ceci.", "then": "open"})
    await withdraw(agent, open_form)

    assert "Une équipe passera &lt;jeudi&gt;.\n\nEt aussi ceci.</textarea>" in (await agent.get(CASE)).text


async def test_a_case_that_changed_meanwhile_keeps_its_state(
    agent: httpx.AsyncClient, colleague: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(routed(CONTACT))
    await answer(agent, open_form)
    await colleague.post(f"{CASE}/reopen", data=await open_form(colleague, CASE, f"{CASE}/reopen"))
    await colleague.post(f"{CASE}/take", data=await open_form(colleague, CASE, f"{CASE}/take"))
    await withdraw(agent, open_form)

    assert "<dd>Claude Exemple</dd>" in (await agent.get(CASE)).text


async def test_send_and_next_opens_the_next_case_with_the_way_back(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, published: Published
) -> None:
    await project(routed(CONTACT), OTHER_CASE)
    await agent.get("/queue")
    answered = await answer(agent, open_form, do="next")

    assert answered.headers["location"] == f"/cases/{OTHER_CASE.routing.conversation_id}?notice=replied_next#notice"
    page = (await agent.get(answered.headers["location"])).text
    assert "Un banc cassé." in page
    assert re.search(rf'class="notice leaving"[^>]*action="{CASE}/withdraw"', page)
    await withdraw(agent, open_form, answered.headers["location"])
    assert not await published("reply.requested")


async def test_the_last_case_leads_back_to_the_list(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(routed(CONTACT))
    await agent.get("/queue?show=mine")

    assert (await answer(agent, open_form, do="next")).headers["location"] == "/queue?show=mine"
