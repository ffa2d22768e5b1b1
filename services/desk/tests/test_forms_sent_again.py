"""Facts about a form that is sent again with other content, as after the browser's button Back: nothing is lost or taken for the first."""

import re
from collections.abc import Awaitable, Callable

import httpx
import pytest

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.routing.decisions import make_conversation_id
from parvis.common.testing import a_contact

from .test_pages import OpenForm, routed

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
CONTACT = a_contact()
CONVERSATION = make_conversation_id(CONTACT.contact_id, CONTACT.received_at)
HEADERS = {"authorization": "Bearer a token for tests only", "idempotency-key": "1"}
WHO = {"agent": "Dominique Exemple", "department": "voirie"}


def hidden_fields(form: str) -> dict[str, str]:
    return dict(
        re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form.split("</form>", maxsplit=1)[0])
    )


async def test_the_next_person_at_the_counter_never_gets_the_reference_of_the_one_before(
    agent: httpx.AsyncClient, published: Published
) -> None:
    page = (await agent.get("/counter")).text
    fields = hidden_fields(page.split('action="/counter"')[1]) | {
        "reply-channel": "none",
        "channel": "counter",
        "language": "fr",
    }
    first = await agent.post("/counter", data=fields | {"name": "Alix", "text": "Un acte."})
    clicked_again = await agent.post("/counter", data=fields | {"name": "Alix", "text": "Un acte."})
    other = await agent.post("/counter", data=fields | {"name": "Maxime", "text": "Un lampadaire."})
    fresh = hidden_fields(other.text.split('action="/counter"')[1])
    second = await agent.post("/counter", data=fields | fresh | {"name": "Maxime", "text": "Un lampadaire."})
    contacts = [ContactReceived.model_validate_json(value) for value in await published("contact.received")]

    assert clicked_again.headers["location"] == first.headers["location"]
    assert other.status_code == 422
    assert "Un lampadaire." in other.text
    assert "ne l’est pas" in other.text
    assert second.headers["location"] not in ("", first.headers["location"])
    assert {(contact.personal.display_name, contact.personal.text) for contact in contacts} == {
        ("Alix", "Un acte."),
        ("Maxime", "Un lampadaire."),
    }


async def test_a_reply_with_the_token_of_another_is_not_taken_for_sent(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, published: Published
) -> None:
    await project(routed(CONTACT))
    case = f"/cases/{CONVERSATION}"
    fields = await open_form(agent, case, f"{case}/reply") | {"channel": "", "then": "open", "do": "send"}
    first = await agent.post(f"{case}/reply", data=fields | {"text": "Bonjour."})
    other = await agent.post(f"{case}/reply", data=fields | {"text": "Nous passons mardi."})
    fresh = dict(re.findall(r'name="(_once|version)" value="([^"]*)"', other.text))
    second = await agent.post(f"{case}/reply", data=fields | fresh | {"text": "Nous passons mardi."})
    sent = [ReplyRequested.model_validate_json(value) for value in await published("reply.requested")]

    assert [answer.status_code for answer in (first, other, second)] == [303, 422, 303]
    assert "Nous passons mardi." in other.text
    assert {reply.personal.text for reply in sent} == {"Bonjour.", "Nous passons mardi."}


@pytest.mark.parametrize(
    ("action", "first", "other"),
    [
        ("reply", {"text": "Bonjour"}, {"text": "Au revoir"}),
        ("call", {"text": "Rappelée"}, {"text": "Absente"}),
        ("transfer", {"to_department": "dechets", "reason": "x"}, {"to_department": "finances", "reason": "x"}),
    ],
)
async def test_a_program_that_uses_a_key_for_two_things_is_told(
    browser: httpx.AsyncClient, project: Project, action: str, first: dict[str, str], other: dict[str, str]
) -> None:
    await project(routed(CONTACT))
    url = f"/api/v1/cases/{CONVERSATION}/{action}"
    answers = [await browser.post(url, json=WHO | body, headers=HEADERS) for body in (first, first, other)]

    assert [answer.status_code for answer in answers] == [200, 200, 409]
    assert answers[2].json() == {"detail": "sent_before"}


async def test_a_program_that_uses_a_key_for_two_visits_is_told(browser: httpx.AsyncClient) -> None:
    visits = ("Un acte.", "Un acte.", "Un lampadaire.")
    answers = [await browser.post("/api/v1/contacts", json=WHO | {"text": text}, headers=HEADERS) for text in visits]

    assert [answer.status_code for answer in answers] == [201, 201, 409]
