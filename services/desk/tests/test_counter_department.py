"""Tests the department of a visit, shown and changeable before it is saved, and the receipt that the person takes home."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from services.desk.tests.test_pages import CASE, CONTACT, VISIT, routed

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.routing.decisions import make_conversation_id

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
Send = Callable[..., Awaitable[httpx.Response]]


async def test_the_department_of_a_visit_is_shown_and_can_be_changed(
    agent: httpx.AsyncClient, send: Send, published: Published
) -> None:
    page = (await agent.get("/counter")).text
    assert '<option value="voirie" selected>' in page
    assert '<option value="triage"' not in page

    await send("/counter", "/counter", **VISIT, to_department="etat-civil")
    (value,) = await published("contact.received")
    contact = ContactReceived.model_validate_json(value)
    assert contact.to == "etat-civil"
    receipt = (await agent.get(f"/counter/{contact.reference}")).text
    for shown in ("État civil", "Val-Exemple", contact.reference, "Noté le"):
        assert shown in receipt


async def test_an_unknown_department_is_refused_beside_its_field(agent: httpx.AsyncClient, send: Send) -> None:
    answer = await send("/counter", "/counter", **VISIT, to_department="nowhere")
    assert answer.status_code == 422
    assert '<a href="#f-to_department">' in answer.text


async def test_reception_leaves_the_department_to_the_rules(
    browser: httpx.AsyncClient, send: Send, published: Published
) -> None:
    await send("/login", "/login", name="Alix Exemple", department="triage")
    assert '<option value="" selected>Selon la démarche et le texte' in (await browser.get("/counter")).text
    await send("/counter", "/counter", **VISIT, to_department="")
    (value,) = await published("contact.received")
    assert ContactReceived.model_validate_json(value).to == "triage"


async def test_a_program_states_a_department(agent: httpx.AsyncClient, published: Published) -> None:
    headers = {"authorization": "Bearer a token for tests only"}
    body = {"agent": "Dominique Exemple", "department": "voirie", "text": "Un acte."}
    for stated in ("", "etat-civil"):
        sent = await agent.post("/api/v1/contacts", json=body | {"to_department": stated}, headers=headers)
        assert sent.status_code == 201
    wrong = await agent.post("/api/v1/contacts", json=body | {"to_department": "nowhere"}, headers=headers)
    assert (wrong.status_code, wrong.json()["detail"]) == (409, "no_department")
    values = await published("contact.received")
    assert [ContactReceived.model_validate_json(value).to for value in values] == ["voirie", "etat-civil"]


async def test_who_comes_back_is_known_and_keeps_their_reference(
    agent: httpx.AsyncClient, project: Project, send: Send, published: Published
) -> None:
    await project(routed(CONTACT))
    conversation = make_conversation_id(CONTACT.contact_id, CONTACT.received_at)
    path = f"/counter?conversation={conversation}&reference={CONTACT.reference}"
    form = (await agent.get(path)).text
    assert 'value="Camille Exemple"' in form
    assert 'value="06 39 98 00 01"' in form
    assert CASE.rpartition("/")[2] in form

    answer = await send(path, "/counter", **VISIT)
    receipt = (await agent.get(answer.headers["location"])).text
    assert f'<strong class="reference">{CONTACT.reference}</strong>' in receipt


async def test_only_what_was_registered_has_a_receipt(agent: httpx.AsyncClient) -> None:
    for reference in ("ANYTHING", "P-7F3K-2Q9X-M4TC"):
        answer = await agent.get(f"/counter/{reference}")
        assert answer.status_code == 404
        assert "enregistrée" not in answer.text
