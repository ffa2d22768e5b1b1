"""Tests that typed text outlives every button of a case's page, a reload and an outage, and ends when it is sent."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from services.desk.tests.test_pages import CASE, CONTACT, routed

from parvis.common.contract.errors import Unavailable
from parvis.desk.store.case_transactions import CaseStore

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
OpenForm = Callable[..., Awaitable[dict[str, str]]]
TYPED = {
    "text": "Une équipe passera <jeudi>.", "channel": "email", "address-email": "c@citoyens.example", "then": "closed",
}  # fmt: skip
SHOWN = "Une équipe passera &lt;jeudi&gt;."


@pytest.mark.parametrize(
    ("action", "more"),
    [
        ("take", {}),
        ("close", {}),
        ("draft", {}),
        ("transfer", {"to": "etat-civil", "reason": "Un acte."}),
        ("transfer", {"to": "etat-civil", "reason": ""}),
        ("link", {"other": "nothing"}),
        ("reply", {"do": "preview"}),
        ("reply", {"do": "send", "address-email": "nobody"}),
    ],
)
async def test_every_button_keeps_the_text(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, action: str, more: dict[str, str]
) -> None:
    await project(routed(CONTACT))
    form = await open_form(agent, CASE, f"{CASE}/{action}")
    answer = await agent.post(f"{CASE}/{action}", data=form | TYPED | more)

    page = answer.text if answer.status_code in {200, 422} else (await agent.get(CASE)).text
    reopened = (await agent.get(CASE)).text
    assert SHOWN in page
    assert SHOWN in reopened
    assert 'value="email" checked' in reopened


async def test_a_draft_is_its_writers_and_ends_with_the_answer(
    agent: httpx.AsyncClient,
    colleague: httpx.AsyncClient,
    project: Project,
    open_form: OpenForm,
    published: Published,
) -> None:
    await project(routed(CONTACT))
    await agent.post(f"{CASE}/draft", data=await open_form(agent, CASE, f"{CASE}/draft") | TYPED)
    assert SHOWN not in (await colleague.get(CASE)).text

    form = await open_form(agent, CASE, f"{CASE}/reply")
    answer = await agent.post(f"{CASE}/reply", data=form | TYPED | {"do": "send"})
    assert answer.headers["location"].endswith("?notice=replied#notice")
    page = (await agent.get(CASE)).text
    assert "Brouillon" not in page.split('id="end"')[1].split('<p class="actions">')[0]
    assert SHOWN not in page.split('id="end"')[1]
    assert len(await published("reply.requested")) == 1


async def test_an_emptied_text_ends_the_draft(agent: httpx.AsyncClient, project: Project, open_form: OpenForm) -> None:
    await project(routed(CONTACT))
    for text in (TYPED["text"], " "):
        form = await open_form(agent, CASE, f"{CASE}/draft")
        await agent.post(f"{CASE}/draft", data=form | TYPED | {"text": text})
    assert 'value="email" checked' not in (await agent.get(CASE)).text


async def test_an_outage_gives_the_text_back_and_can_be_sent_again(
    agent: httpx.AsyncClient,
    project: Project,
    open_form: OpenForm,
    published: Published,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await project(routed(CONTACT))
    form = await open_form(agent, CASE, f"{CASE}/reply")

    async def fail(*_: object, **__: object) -> None:
        raise Unavailable("PostgreSQL does not answer")

    with monkeypatch.context() as outage:
        outage.setattr(CaseStore, "change_case", fail)
        answer = await agent.post(f"{CASE}/reply", data=form | TYPED | {"do": "send"})
    assert answer.status_code == 503
    assert SHOWN in answer.text
    assert 'href="/queue"' in answer.text

    again = await agent.post(f"{CASE}/reply", data=await open_form(agent, answer.text, f"{CASE}/reply"))
    assert again.status_code == 303
    assert len(await published("reply.requested")) == 1


async def test_the_field_at_fault_is_marked(agent: httpx.AsyncClient, project: Project, open_form: OpenForm) -> None:
    await project(routed(CONTACT))
    form = await open_form(agent, CASE, f"{CASE}/reply")
    wrong = {"text": "Bonjour", "channel": "sms", "address-sms": "12", "do": "send"}
    page = (await agent.post(f"{CASE}/reply", data=form | wrong)).text

    assert '<a href="#f-address-sms">' in page
    field = page.split('id="f-address-sms"')[1].split(">")[0]
    assert 'aria-invalid="true"' in field
    assert "Une réponse est à corriger" not in page


async def test_a_draft_is_kept_and_measured_while_the_agent_types(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(routed(CONTACT))
    form = await open_form(agent, CASE, f"{CASE}/draft")
    seen: list[str] = []
    for typed in ({"channel": "", "text": "Bonjour. " * 40}, {"channel": "post", "text": "Bonjour.\n" * 60}):
        answer = await agent.post(f"{CASE}/draft", data=form | typed, headers={"accept": "application/json"})
        assert answer.json()["saved"] == "Brouillon enregistré."
        seen.append(answer.json()["meter"])

    assert seen == ["Envoyée en 3 SMS, facturés chacun.", "Environ 2 pages."]
    assert "Bonjour.\nBonjour." in (await agent.get(CASE)).text


async def test_a_draft_that_arrives_after_its_answer_does_not_return(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(routed(CONTACT))
    form = await open_form(agent, CASE, f"{CASE}/reply") | TYPED
    await agent.post(f"{CASE}/reply", data=form | {"do": "send"})
    await agent.post(f"{CASE}/draft", data=form, headers={"accept": "application/json"})

    assert SHOWN not in (await agent.get(CASE)).text.split('id="end"')[1]
