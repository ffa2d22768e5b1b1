"""Tests the JSON API: one contact per Idempotency-Key, and problems in the caller's language."""

import asyncio
import base64
import gzip
import hashlib
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.normalize_contact_points import email_contact_point, phone_contact_point
from parvis.common.runtime.http_body import LimitBody
from parvis.common.storage import outbox
from parvis.common.town.loading import load_town_config
from parvis.ingest_web.app import build
from parvis.ingest_web.parse.submitted_form import parse_form
from parvis.ingest_web.render import json_schema

from .conftest import CONFIG, Browser

pytestmark = pytest.mark.asyncio(loop_scope="module")
TOWN = load_town_config(CONFIG)
KEY = "a key of an integrator, for tests only"
LAMP: dict[str, Any] = {"procedure": "road-report", "answers": {"problem": "lamp", "place": "12 rue des Lilas"}}
MANY = b'{"procedure":"road-report","answers":[' + b"0," * 300_000 + b"0]}"  # its schema would refuse it, much later
TWICE = b'{"procedure":"road-report","answers":{"problem":"lamp","place":"1 rue Haute","place":"2 rue Haute"}}'
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 100


@asynccontextmanager
async def caller(patch: pytest.MonkeyPatch, **settings: str) -> AsyncGenerator[httpx.AsyncClient]:
    given_keys = {"API_KEYS": f"street-app:{hashlib.sha256(KEY.encode()).hexdigest()}"}
    with patch.context() as here:
        for name, value in (given_keys | settings).items():
            here.setenv(f"PARVIS_INGEST_WEB_{name}", value)
        service = await build()
    transport = httpx.ASGITransport(LimitBody(service.app, service.largest_body_bytes), raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://town.example", headers=headers) as http:
        yield http
    for close in service.closing:
        await close()


async def send(http: httpx.AsyncClient, told: Any, key: str = '"k1"', **headers: str) -> httpx.Response:
    return await http.post("/api/contacts", json=told, headers={"idempotency-key": key, **headers})


async def test_a_contact_is_committed_once(browser: Browser, environment: pytest.MonkeyPatch) -> None:
    photo = {"name": "../trou.png", "content": base64.b64encode(PNG).decode()}
    told = LAMP | {
        "name": "Camille Exemple",
        "reply": {"channel": "post", "address": ["3 rue Haute", "00100 Val-Exemple"]},
        "files": {"photo": [photo]},
    }
    async with caller(environment) as http:
        first, again = await send(http, told), await send(http, told, "k1")
    made = await browser.the_contact()

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert first.json()["reference"] == made.reference
    assert made.sender.evidence == "handed in by the integrator street-app, no proof of who asked"
    assert made.personal.file_names == ("trou.png",)
    assert made.personal.reply_channels[0].address == "Camille Exemple\n3 rue Haute\n00100 Val-Exemple"


async def test_a_key_belongs_to_one_body(browser: Browser, environment: pytest.MonkeyPatch) -> None:
    other = {"procedure": "road-report", "answers": {"problem": "sign", "place": "Ailleurs"}}
    async with caller(environment) as http:
        await send(http, LAMP)
        reused = await send(http, other)
        missing = await http.post("/api/contacts", json=LAMP)

    assert (reused.status_code, reused.json()["type"]) == (422, "urn:parvis:problem:key-reused")
    assert (missing.status_code, missing.json()["type"]) == (400, "urn:parvis:problem:no-key")
    assert missing.headers["content-type"] == "application/problem+json"
    assert len(await browser.events()) == 1


async def test_a_compressed_body_is_415(browser: Browser, environment: pytest.MonkeyPatch) -> None:
    packed = gzip.compress(json.dumps(LAMP).encode())
    headers = {"idempotency-key": "k1", "content-type": "application/json", "content-encoding": "gzip"}
    async with caller(environment) as http:
        answer = await http.post("/api/contacts", content=packed, headers=headers)

    assert (answer.status_code, answer.json()["type"]) == (415, "urn:parvis:problem:encoding")
    assert (answer.headers["accept-encoding"], answer.headers["content-type"]) == (
        "identity",
        "application/problem+json",
    )
    assert not await browser.events()


async def test_a_contact_too_large_for_its_topic_is_413(browser: Browser, environment: pytest.MonkeyPatch) -> None:
    async with caller(environment) as http:
        with environment.context() as smaller:
            smaller.setattr(outbox, "largest_record_bytes", lambda _topic: 100)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
            answer = await send(http, LAMP)

    assert (answer.status_code, answer.json()["type"]) == (413, "urn:parvis:problem:too-large")
    assert not await browser.events()


async def test_twenty_concurrent_requests_make_one_contact(browser: Browser, environment: pytest.MonkeyPatch) -> None:
    async with caller(environment) as http:
        answers = await asyncio.gather(*(send(http, LAMP) for _ in range(20)))

    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.text for answer in answers if answer.status_code == 201}) == 1
    assert len(await browser.events()) == 1


@pytest.mark.parametrize(
    ("told", "pointer"),
    [
        ({}, "/procedure"),
        ({"procedure": "nothing"}, "/procedure"),
        (LAMP | {"answers": {"problem": "lamp"}}, "/answers"),
        (LAMP | {"answers": {"problem": "cat", "place": "ici"}}, "/answers/problem"),
        (LAMP | {"reply": {"channel": "sms", "address": "0536491234"}}, "/reply"),
        (LAMP | {"files": {"photo": [{"content": "TVo="}]}}, "/files/photo/0/content"),
        (LAMP | {"more": 1}, "/"),
    ],
)
async def test_errors_point_at_the_members_at_fault(
    browser: Browser, environment: pytest.MonkeyPatch, told: dict[str, Any], pointer: str
) -> None:
    async with caller(environment) as http:
        answer = await send(http, told, **{"accept-language": "en"})

    assert (answer.status_code, answer.json()["title"]) == (422, "The request is incomplete or contains an error")
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert not await browser.events()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"NaN", b'{"procedure":"\\ud800"}', MANY, TWICE])
async def test_a_body_that_is_not_json_is_rejected(
    browser: Browser, environment: pytest.MonkeyPatch, body: bytes
) -> None:
    headers = {"content-type": "application/json", "idempotency-key": "k"}
    async with caller(environment) as http:
        answer = await http.post("/api/contacts", content=body, headers=headers)

    assert answer.status_code == 400


async def test_unknown_keys_and_excessive_requests_are_refused(
    browser: Browser, environment: pytest.MonkeyPatch
) -> None:
    async with caller(environment, API_PER_MINUTE="1") as http:
        stranger = await send(http, LAMP, authorization="Bearer wrong")
        wrong_method = await http.get("/api/contacts")
        text = await http.post("/api/contacts", content=b"x", headers={"idempotency-key": "k"})
        hasty = await send(http, LAMP)
        described = await http.get("/api/openapi.json")
    async with caller(environment, API_KEYS="") as http:
        closed = [await send(http, LAMP), await http.get("/api/openapi.json")]

    assert (stranger.status_code, stranger.headers["www-authenticate"]) == (401, "Bearer")
    assert (wrong_method.status_code, wrong_method.headers["allow"]) == (405, "POST")
    assert (text.status_code, hasty.status_code) == (415, 429)
    assert int(hasty.headers["retry-after"]) > 0
    assert described.json()["openapi"] == "3.1.0"
    assert [answer.status_code for answer in closed] == [404, 404]


@given(
    st.from_regex(json_schema.PHONE, fullmatch=True).filter(str.isascii),
    st.from_regex(json_schema.MAIL, fullmatch=True),
)
async def test_every_address_that_the_schema_allows_is_accepted(number: str, mail: str) -> None:
    assert phone_contact_point(number.strip()).value == number.strip()
    fields = {"message": ["?"], "reply-channel": ["email"], "reply-email": [mail]}
    assert not parse_form(TOWN.procedures["general-question"], fields, {}, today=date(2026, 3, 2)).problems


@pytest.mark.parametrize("parts", [1, 2, 3, 4])
async def test_the_longest_local_part_that_the_schema_allows_is_accepted(parts: int) -> None:
    """RFC 5321 §4.5.3.1: 64 characters."""
    mails = (".".join(["a" * size] * parts) + "@exemple.example" for size in range(80, 0, -1))
    longest = next(mail for mail in mails if re.match(json_schema.MAIL, mail))

    assert email_contact_point(longest).value == longest
    assert len(longest.partition("@")[0]) > 60


@given(st.dates(), st.dates())
async def test_patterns_of_dates_know_before_and_after(bound: date, day: date) -> None:
    assert bool(re.match(json_schema.not_before(bound), day.isoformat())) is (day >= bound)
    assert bool(re.match(json_schema.not_after(bound), day.isoformat())) is (day <= bound)
