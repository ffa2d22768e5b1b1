"""Tests that a program can do the work of the pages: notes, drafts, snoozing, assigning, corrections, and a reply that it withdraws."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi.routing import APIRoute
from services.desk.tests.conftest import Guarded
from services.desk.tests.test_api import CASE, CONTACT, WHO, routed

from parvis.common.contract.contact import OcrQuality
from parvis.common.contract.routing.decisions import make_conversation_id
from parvis.common.testing import a_contact
from parvis.desk.api.dependencies import ApiGuard

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
ELSEWHERE = WHO | {"department": "etat-civil"}
TOMORROW = (date.today() + timedelta(days=1)).isoformat()  # noqa: DTZ011
WORK: list[tuple[str, dict[str, Any]]] = [
    ("note", {"text": "À revoir avec Claude."}),
    ("note", {"text": "Elle rappellera.", "kind": "call"}),
    ("snooze", {"until": TOMORROW}),
    ("wake", {}),
    ("assign", {"colleague": "Claude Exemple"}),
    ("procedure", {"procedure": "road-report"}),
    ("urgency", {"urgency": "high"}),
]


@pytest.fixture
def api(browser: httpx.AsyncClient) -> httpx.AsyncClient:
    browser.headers["authorization"] = "Bearer a token for tests only"
    return browser


@pytest.mark.parametrize(("act", "body"), WORK)
@pytest.mark.usefixtures("colleague")
async def test_each_act_needs_the_case_and_is_done(
    api: httpx.AsyncClient, project: Project, act: str, body: dict[str, Any]
) -> None:
    await project(routed())
    assert (await api.post(f"{CASE}/{act}", json=ELSEWHERE | body)).status_code == 404
    answer = await api.post(f"{CASE}/{act}", json=WHO | body)
    assert answer.status_code == 200
    case = answer.json()
    assert case["taken_by"] == (body["colleague"] if act == "assign" else None)
    assert case["urgency"] == (body["urgency"] if act == "urgency" else "normal")
    assert case["procedure"] == (body["procedure"] if act == "procedure" else None)
    assert (await api.post(f"{CASE}/{act}", json=WHO | body | {"slip": 1})).status_code == 422


@pytest.mark.parametrize(
    ("act", "body", "why"),
    [
        ("snooze", {"until": "2001-01-01"}, "no_snooze_day"),
        ("assign", {"colleague": " "}, "no_colleague"),
        ("procedure", {"procedure": "nothing"}, "no_procedure"),
        ("letter-text", {"contact_id": CONTACT.contact_id, "text": "x"}, "no_letter"),
    ],
)
async def test_what_the_rules_refuse_is_named(
    api: httpx.AsyncClient, project: Project, act: str, body: dict[str, Any], why: str
) -> None:
    await project(routed())
    answer = await api.post(f"{CASE}/{act}", json=WHO | body)
    assert (answer.status_code, answer.json()["detail"]) == (409, why)


@pytest.mark.parametrize("act", ["take", "close", "release", "reopen", "transfer"])
async def test_an_act_on_a_case_that_changed_is_refused_when_the_program_names_its_version(
    api: httpx.AsyncClient, project: Project, act: str
) -> None:
    await project(routed())
    etag = (await api.get(CASE, params={"department": "voirie"})).headers["etag"]
    for before in ("take", *(["close"] if act == "reopen" else [])):
        await api.post(f"{CASE}/{before}", json=WHO | {"agent": "Claude Exemple"})
    body = WHO | ({"to_department": "etat-civil", "reason": "Un acte."} if act == "transfer" else {})
    stale = await api.post(f"{CASE}/{act}", json=body, headers={"if-match": etag})
    assert (stale.status_code, stale.json()["detail"]) == (412, "case_changed")
    assert (await api.post(f"{CASE}/{act}", json=body)).status_code == 200


async def test_a_draft_is_its_agents_and_a_text_is_prepared(api: httpx.AsyncClient, project: Project) -> None:
    await project(routed())
    draft = {"text": "Bonjour,", "channel": "email", "address": "c@citoyens.example", "then": "closed"}
    assert (await api.put(f"{CASE}/draft", json=ELSEWHERE | draft)).status_code == 404
    assert (await api.put(f"{CASE}/draft", json=WHO | draft)).status_code == 204
    mine = (await api.get(f"{CASE}/draft", params=WHO)).json()
    assert (mine["text"], mine["channel"], mine["then"]) == ("Bonjour,", "email", "closed")
    assert mine["saved_at"]
    assert (await api.get(f"{CASE}/draft", params=WHO | {"agent": "Claude Exemple"})).json()["text"] == ""
    assert (await api.get(f"{CASE}/draft", params=ELSEWHERE)).status_code == 404

    texts = (await api.get(f"{CASE}/prepared-texts", params=WHO)).json()
    assert texts
    assert {"name", "title", "text", "then"} == set(texts[0])
    assert (await api.get(f"{CASE}/prepared-texts", params=ELSEWHERE)).status_code == 404


async def test_a_reply_is_withdrawn_until_it_leaves(
    api: httpx.AsyncClient, project: Project, published: Published
) -> None:
    await project(routed())
    sent = (await api.post(f"{CASE}/reply", json=WHO | {"text": "C’est fait.", "withdrawable": True})).json()
    (reply,) = sent["replies"]
    assert reply["due_at"]
    path = f"{CASE}/replies/{reply['reply_id']}/withdraw"
    assert (await api.post(path, json=WHO | {"agent": "Claude Exemple"})).status_code == 404
    withdrawn = await api.post(path, json=WHO)
    assert (withdrawn.status_code, withdrawn.json()["replies"], withdrawn.json()["state"]) == (200, [], "open")
    assert not await published("reply.requested")
    assert (await api.get(f"{CASE}/draft", params=WHO)).json()["text"] == "C’est fait."

    at_once = (await api.post(f"{CASE}/reply", json=WHO | {"text": "C’est fait."})).json()["replies"][0]
    late = await api.post(f"{CASE}/replies/{at_once['reply_id']}/withdraw", json=WHO)
    assert (late.status_code, late.json()["detail"]) == (409, "too_late")


async def test_a_letters_text_is_corrected_once_for_a_key(api: httpx.AsyncClient, project: Project) -> None:
    letter = a_contact(key="letter", channel="post", ocr=OcrQuality(confidence=0.5, pages=1))
    await project(routed(letter))
    path = f"/api/v1/cases/{make_conversation_id(letter.contact_id, letter.received_at)}/letter-text"
    body = WHO | {"contact_id": letter.contact_id, "text": "Ce que je lis."}
    answers = [await api.post(path, json=body, headers={"idempotency-key": "one"}) for _ in range(2)]
    assert [answer.json()["contacts"][0]["corrected_text"] for answer in answers] == ["Ce que je lis."] * 2
    assert len({answer.json()["version"] for answer in answers}) == 1


async def test_every_act_asks_for_a_right_and_a_token(api: httpx.AsyncClient, guarded_routes: Guarded) -> None:
    def right(route: APIRoute, checks: list[Any]) -> str:
        return checks[0].action if checks and isinstance(checks[0], ApiGuard) else route.path

    rights = {(m, route.path): right(route, checks) for m, route, checks in guarded_routes if "{conversation_id}" in route.path}  # fmt: skip
    asked = {path.partition("}/")[2]: action for (_, path), action in rights.items()}
    assert all(asked[act] == "case.change" for act, _ in WORK)
    assert asked["letter-text"] == "case.change"
    assert {asked["draft"], asked["prepared-texts"], asked["replies/{reply_id}/withdraw"]} == {"case.reply"}
    del api.headers["authorization"]
    for method, path in rights:
        url = "/api/v1" + path.replace("{conversation_id}", str(uuid4())).replace("{reply_id}", str(uuid4()))
        assert (await api.request(method, url, params=WHO, json=WHO)).status_code == 401
