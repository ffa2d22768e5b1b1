"""Tests that the pages say what is true: titles, notices, the way back, the language, why a case is here."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from services.desk.tests.test_pages import CASE, CONTACT, VISIT, personal, routed

from parvis.common.contract.contact import ContactPersonalData
from parvis.common.contract.errors import Unavailable
from parvis.common.contract.routing.decisions import make_conversation_id
from parvis.common.testing import a_contact
from parvis.desk.store.counter_contacts import CounterContacts

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Send = Callable[..., Awaitable[httpx.Response]]
OpenForm = Callable[..., Awaitable[dict[str, str]]]


async def test_an_unknown_reference_is_no_success(agent: httpx.AsyncClient) -> None:
    page = (await agent.get("/search", params={"q": "P-0000-0000-0000"})).text
    assert "Rien trouvé dans votre service" in page
    assert 'class="notice good"' not in page
    assert '<div class="notice good" id="notice" role="status">' in (await agent.get("/queue?notice=released")).text


async def test_a_case_leads_back_to_the_list_that_was_shown(agent: httpx.AsyncClient, project: Project) -> None:
    await project(routed(CONTACT))
    await agent.get("/queue", params={"show": "mine", "tag": "école"})
    assert 'href="/queue?show=mine&amp;tag=%C3%A9cole"' in (await agent.get(CASE)).text
    await agent.get("/queue?notice=released")
    assert '<a href="/queue">← File du service' in (await agent.get(CASE)).text


async def test_a_page_made_by_a_form_can_be_read_in_the_other_language(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm
) -> None:
    await project(routed(CONTACT))
    form = await open_form(agent, CASE, f"{CASE}/reply")
    shown = await agent.post(f"{CASE}/reply", data=form | {"text": "Bonjour à vous", "channel": "", "do": "preview"})
    assert f'href="{CASE}?lang=en"' in shown.text
    assert "Bonjour à vous" in (await agent.get(f"{CASE}?lang=en")).text


async def test_a_letter_that_cannot_be_read_has_no_noise_as_its_title(
    agent: httpx.AsyncClient, project: Project
) -> None:
    noise = ContactPersonalData(text="|l1 ~~ §§ rnrn")
    letter = a_contact(
        channel="post", contact_point_hash=None, personal=noise, unreadable="no text was found on the paper"
    )
    await project(routed(letter))
    case = f"/cases/{make_conversation_id(letter.contact_id, letter.received_at)}"
    queue = (await agent.get("/queue")).text
    assert "Lettre à lire" in queue
    assert "§§" not in queue
    assert "<h1>Lettre à lire</h1>" in (await agent.get(case)).text
    assert "<strong>Lettre à lire</strong>" in (await agent.get("/search", params={"q": letter.reference[2:6]})).text


async def test_who_telephoned_without_a_wish_did_not_ask_to_be_called(
    agent: httpx.AsyncClient, project: Project
) -> None:
    called = a_contact(key="call", channel="phone", personal=personal())
    await project(routed(called))
    page = (await agent.get(f"/cases/{make_conversation_id(called.contact_id, called.received_at)}")).text
    assert "Cette personne a téléphoné. Son numéro" in page
    assert "demandé à être appelée" not in page


async def test_why_a_case_is_here_stays_what_opened_it(agent: httpx.AsyncClient, project: Project) -> None:
    later = routed(
        a_contact(key="later"), conversation_id=make_conversation_id(CONTACT.contact_id, CONTACT.received_at), sequence=2,
        reference=CONTACT.reference, rule="conversation", reason={"fr": "Ce message suit le précédent."},
    )  # fmt: skip
    await project(routed(CONTACT), later)
    facts = (await agent.get(CASE)).text.split("<aside")[1]
    assert "Le message parle de voirie." in facts
    assert "Ce message suit le précédent." not in facts


async def test_a_page_that_does_not_exist_speaks_to_agents(agent: httpx.AsyncClient) -> None:
    page = (await agent.get("/nowhere")).text
    assert "votre file" in page
    assert "démarches" not in page


async def test_an_outage_is_no_mistake_of_a_field(
    agent: httpx.AsyncClient, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise Unavailable("PostgreSQL does not answer")

    with monkeypatch.context() as outage:
        outage.setattr(CounterContacts, "register", fail)
        answer = await send("/counter", "/counter", **VISIT)
    assert answer.status_code == 503
    assert 'aria-invalid="true"' not in answer.text
    assert "Rien n’est perdu" in answer.text
    assert VISIT["text"] in answer.text
