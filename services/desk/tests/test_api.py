"""Tests the JSON API: the same rules as the pages, a bearer token, one effect per Idempotency-Key."""

import json
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from datetime import timedelta
from urllib.parse import quote

import httpx
import pytest
from pydantic import ValidationError

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.routing.decisions import ContactRouted, Routing, make_conversation_id
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.desk.api.json_bodies import ActionBody

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
CONTACT = a_contact()
CASE = f"/api/v1/cases/{make_conversation_id(CONTACT.contact_id, CONTACT.received_at)}"
WHO = {"agent": "Dominique Exemple", "department": "voirie"}


def routed(contact: ContactReceived = CONTACT) -> ContactRouted:
    return ContactRouted(
        routing=Routing(
            conversation_id=make_conversation_id(contact.contact_id, contact.received_at),
            sequence=1,
            department="voirie",
            reference=contact.reference,
            rule="pothole",
            rules_version="v",
            confidence=1,
            reason={"fr": "Parce que."},
            received_at=AN_INSTANT,
            answer_due_at=AN_INSTANT + timedelta(days=7),
            decided_at=AN_INSTANT,
        ),
        contact=contact,
    )


@pytest.fixture
def api(browser: httpx.AsyncClient) -> httpx.AsyncClient:
    browser.headers["authorization"] = "Bearer a token for tests only"
    return browser


@pytest.mark.parametrize(
    "token", ["", "Bearer", "Bearer x", "Basic a token for tests only", "Bearer a token for tests onlyx"]
)
async def test_without_the_token_nobody_is_answered(browser: httpx.AsyncClient, token: str) -> None:
    headers = {"authorization": token} if token else {}
    answer = await browser.get("/api/v1/cases?department=voirie", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/json"


async def test_a_body_is_read_after_the_token_and_to_its_limit(browser: httpx.AsyncClient) -> None:
    sent_bytes = 0

    async def flood() -> AsyncGenerator[bytes]:
        nonlocal sent_bytes
        for _ in range(160):
            sent_bytes += 65536
            yield b" " * 65536

    headers = {"content-type": "application/json"}
    assert (await browser.post(f"{CASE}/take", content=flood(), headers=headers)).status_code == 401
    assert sent_bytes == 0
    headers["authorization"] = "Bearer a token for tests only"
    assert (await browser.post(f"{CASE}/take", content=flood(), headers=headers)).status_code == 413
    assert sent_bytes <= 6 * 65536


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{CASE}/reply", b'{"agent":"D","department":"voirie","text":"Bonjour","text":"Non"}'),
        ("/api/v1/contacts", b'{"agent":"D","department":"voirie","text":"x","reply":{"a":1,"a":2}}'),
        (f"{CASE}/take", b'{"agent":NaN,"department":"voirie"}'),
    ],
)
async def test_a_body_that_programs_read_differently_is_400(api: httpx.AsyncClient, path: str, body: bytes) -> None:
    answer = await api.post(path, content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 400
    assert answer.json()["detail"] in ("a name twice in one object", "NaN is no JSON number")


async def test_the_description_is_openapi(browser: httpx.AsyncClient) -> None:
    described = (await browser.get("/api/v1/openapi.json")).json()

    assert described["openapi"].startswith("3.")
    assert set(described["paths"]["/cases/{conversation_id}/reply"]) == {"post"}
    assert described["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"


async def test_a_case_is_listed_read_taken_answered_and_closed(
    api: httpx.AsyncClient, project: Project, published: Published
) -> None:
    await project(routed())
    (listed,) = (await api.get("/api/v1/cases?department=voirie")).json()["cases"]
    read = (await api.get(CASE, params={"department": "voirie"})).json()
    taken = (await api.post(f"{CASE}/take", json=WHO)).json()
    answered = await api.post(f"{CASE}/reply", json=WHO | {"text": "Bonjour"})
    closed = (await api.post(f"{CASE}/close", json=WHO)).json()

    assert listed["reference"] == CONTACT.reference
    assert (read["answer_channel"], read["contacts"][0]["text"]) == ("", "Bonjour") or read["answer_channel"] == "sms"
    assert taken["taken_by"] == "Dominique Exemple"
    assert (answered.status_code, answered.json()["state"]) == (200, "waiting")
    assert closed["state"] == "closed"
    assert len(await published("reply.requested")) == 1


async def test_the_same_key_is_the_same_reply(api: httpx.AsyncClient, project: Project, published: Published) -> None:
    await project(routed())
    for _ in range(3):
        await api.post(f"{CASE}/reply", json=WHO | {"text": "Bonjour"}, headers={"idempotency-key": "k1"})

    assert len(await published("reply.requested")) == 1


async def test_an_answer_may_go_elsewhere(api: httpx.AsyncClient, project: Project, published: Published) -> None:
    await project(routed())
    address = "Camille Exemple\n3 rue Haute\n00100 Val-Exemple"
    await api.post(f"{CASE}/reply", json=WHO | {"text": "Bonjour", "channel": "post", "address": address})
    (value,) = await published("reply.requested")

    assert ReplyRequested.model_validate_json(value).personal.stated[0].address == address


async def test_refusals_say_why(api: httpx.AsyncClient, project: Project) -> None:
    await project(routed())
    elsewhere = WHO | {"department": "etat-civil"}
    wrong = WHO | {"text": "x", "channel": "email", "address": "nobody"}

    assert (await api.post(f"{CASE}/take", json=elsewhere)).status_code == 404
    assert (await api.get(f"/api/v1/cases/{uuid.uuid4()}?department=voirie")).status_code == 404
    refused = await api.post(f"{CASE}/reply", json=wrong)
    assert (refused.status_code, refused.json()) == (409, {"detail": "wrong_address"})
    assert (await api.post(f"{CASE}/reply", json=WHO)).status_code == 422
    assert (
        await api.post(f"{CASE}/transfer", json=WHO | {"to_department": "nowhere", "reason": "x"})
    ).status_code == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"text": "Bonjour", "chanel": "post"}, 422),
        ({"text": "Bonjour", "address": "a@b.example"}, 409),
        ({"text": " \u200b\u2060"}, 409),
        ({"text": "Bonjour", "agent": " "}, 422),
    ],
)
async def test_a_reply_that_is_not_the_one_meant_is_refused(
    api: httpx.AsyncClient, project: Project, published: Published, body: dict[str, str], status: int
) -> None:
    await project(routed())
    assert (await api.post(f"{CASE}/reply", json=WHO | body)).status_code == status
    assert not await published("reply.requested")


@pytest.mark.parametrize("body", [{"text": "\u200b"}, {"text": "Un acte", "reply_address": "a@b.example"}])
async def test_a_visit_without_words_or_with_an_address_for_no_channel_is_refused(
    api: httpx.AsyncClient, body: dict[str, str]
) -> None:
    assert (await api.post("/api/v1/contacts", json=WHO | body)).status_code == 409


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
async def test_a_text_that_cannot_be_stored_as_it_was_sent_is_refused_in_every_member(
    api: httpx.AsyncClient, project: Project, published: Published, text: str
) -> None:
    await project(routed())
    body = json.dumps(WHO | {"text": text})  # escaped, as httpx would refuse a lone surrogate
    answer = await api.post(f"{CASE}/reply", content=body, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["detail"].partition(":")[0]) == (422, "body.text")
    assert not await published("reply.requested")
    for model in every_body(ActionBody):
        with pytest.raises(ValidationError) as refused:
            model.model_validate(dict.fromkeys(model.model_fields, text))
        assert {error["loc"][0] for error in refused.value.errors()} == model.model_fields.keys()
    draft = {"department": "voirie", "agent": "a\x00b"}
    assert (await api.get(f"{CASE}/draft", params=draft)).status_code == 422


def every_body(model: type[ActionBody]) -> Iterator[type[ActionBody]]:
    yield model
    for special in model.__subclasses__():
        yield from every_body(special)


async def test_a_damaged_cursor_is_not_the_first_page(api: httpx.AsyncClient) -> None:
    assert (await api.get("/api/v1/cases?department=voirie&after=AAAA")).status_code == 422


async def test_a_visit_is_written_down_once_for_a_key(api: httpx.AsyncClient, published: Published) -> None:
    visit = WHO | {"text": "Un lampadaire.", "phone": "06 39 98 00 01", "reply_channel": "sms"}
    headers = {"idempotency-key": "visit-1"}
    first = await api.post("/api/v1/contacts", json=visit, headers=headers)
    second = await api.post("/api/v1/contacts", json=visit, headers=headers)
    (value,) = await published("contact.received")
    contact = ContactReceived.model_validate_json(value)

    assert first.status_code == 201
    assert first.json() == second.json() == {"contact_id": contact.contact_id, "reference": contact.reference}
    assert [(w.channel, w.address) for w in contact.personal.reply_channels] == [("sms", "+33639980001")]
    assert (await api.post("/api/v1/contacts", json=visit | {"phone": "1"})).json() == {"detail": "wrong_phone"}


@pytest.mark.parametrize("hostile", ["a\x01b", "<script>", "\u202ea", "'; drop table desk.reply; --", "𝕏\x1b[0m"])
async def test_any_text_can_be_sent_and_is_never_a_fault(
    api: httpx.AsyncClient, project: Project, hostile: str
) -> None:
    await project(routed())
    who = WHO | {"agent": hostile}
    answers = [
        await api.post(f"{CASE}/take", json=who),
        await api.post(f"{CASE}/reply", json=who | {"text": hostile}),
        await api.post(f"{CASE}/call", json=who | {"text": hostile}),
        await api.post(f"{CASE}/transfer", json=who | {"to_department": hostile, "reason": hostile}),
        await api.post("/api/v1/contacts", json=who | {"text": hostile, "name": hostile, "subject": hostile}),
        await api.get("/api/v1/cases", params={"department": hostile, "after": hostile}),
        await api.get(f"/api/v1/cases/{quote(hostile, safe='')}", params={"department": "voirie"}),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 409, 201, 404, 404]
