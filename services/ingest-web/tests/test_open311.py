"""Tests Open311 GeoReport v2: what public clients send is taken, and they can read what they are answered."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from parvis.common.runtime.http_body import LimitBody
from parvis.ingest_web.app import build

from .conftest import Browser

pytestmark = pytest.mark.asyncio(loop_scope="module")
KEY = "a key of a street app, for tests only"
# As FixMyStreet sends a report, without a jurisdiction of its own.
FIXMYSTREET = {
    "api_key": KEY,
    "jurisdiction_id": "town.example",
    "service_code": "road-report",
    "lat": "44.8378",
    "long": "-0.5792",
    "email": "camille@citizens.example",
    "phone": "06 39 98 12 34",
    "first_name": "Camille",
    "last_name": "Exemple",
    "description": "title: Trou\n\ndetail: Un trou profond.\n\nurl: http://maps.example/report/7\n\nSubmitted via FixMyStreet\n",
    "attribute[problem]": "pothole",
    "attribute[easting]": "417",
    "media_url": "http://maps.example/photo/7.jpeg",
}


@asynccontextmanager
async def caller(patch: pytest.MonkeyPatch, **settings: str) -> AsyncGenerator[httpx.AsyncClient]:
    given_keys = {"API_KEYS": f"street-app:{hashlib.sha256(KEY.encode()).hexdigest()}"}
    with patch.context() as here:
        for name, value in (given_keys | settings).items():
            here.setenv(f"PARVIS_INGEST_WEB_{name}", value)
        service = await build()
    transport = httpx.ASGITransport(LimitBody(service.app, service.largest_body_bytes), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://town.example/open311/v2") as http:
        yield http
    for close in service.closing:
        await close()


async def test_a_report_of_fixmystreet_is_a_contact_and_its_answer_has_the_reference(
    browser: Browser, environment: pytest.MonkeyPatch
) -> None:
    async with caller(environment) as http:
        answers = [await http.post("/requests.xml", data=FIXMYSTREET) for _ in range(2)]
    contact = await browser.the_contact()  # one: what a client sends again is the same report
    for answer in answers:
        assert (answer.status_code, answer.headers["content-type"]) == (201, "text/xml; charset=utf-8")
        root = ET.fromstring(answer.content)  # noqa: S314 (our own document)
        assert (root.tag, [child.tag for child in root]) == ("service_requests", ["request"])
        assert root.findtext("request/service_request_id") == contact.reference
    personal = contact.personal
    assert (contact.procedure, contact.channel, contact.sender.level) == ("road-report", "web", "none")
    assert personal.answers["place"] == "geo:44.837800,-0.579200"
    assert personal.answers["problem"] == "pothole"
    assert "http://maps.example/report/7" in personal.answers["details"]
    for more in ("easting: 417", "media_url: http://maps.example/photo/7.jpeg", "phone: 06 39 98 12 34"):
        assert more in personal.answers["details"]
    assert (personal.display_name, personal.reply_channels[0].address) == (
        "Camille Exemple",
        "camille@citizens.example",
    )


async def test_node_open311_reads_the_services_their_definition_and_the_answer(
    browser: Browser, environment: pytest.MonkeyPatch
) -> None:
    async with caller(environment) as http:
        discovered = (await http.get("/discovery.json")).json()
        services = (await http.get("/services.json", params={"jurisdiction_id": "town.example"})).json()
        definition = (await http.get("/services/road-report.json")).json()
        request = {"service_code": "road-report", "address_string": "12 rue des Lilas", "api_key": KEY}
        sent = await http.post(
            "/requests.json", params={"jurisdiction_id": "town.example"}, data=request | {"attribute[problem]": "lamp"}
        )
    assert discovered["endpoints"][0]["url"] == "http://town.example/open311/v2/"
    assert {one["service_code"] for one in services} == {"road-report", "water-leak"}
    assert set(services[0]) == {"service_code", "service_name", "description", "metadata", "type", "keywords", "group"}
    assert {one["type"] for one in services} == {"realtime"}
    (problem,) = definition["attributes"]
    assert (problem["code"], problem["datatype"], problem["required"]) == ("problem", "singlevaluelist", True)
    assert {"key": "lamp", "name": "Éclairage public"} in problem["values"]
    assert sent.status_code == 201
    contact = await browser.the_contact()
    assert [one["service_request_id"] for one in sent.json()] == [contact.reference]
    assert (contact.personal.answers["place"], contact.personal.reply_channels) == ("12 rue des Lilas", ())


async def test_xml_says_what_json_says(browser: Browser, environment: pytest.MonkeyPatch) -> None:
    async with caller(environment) as http:
        for path in ("/services", "/services/water-leak", "/discovery"):
            document = (await http.get(f"{path}.json")).json()
            answer = await http.get(f"{path}.xml")
            assert answer.text.startswith('<?xml version="1.0" encoding="utf-8"?>')
            assert from_xml(ET.fromstring(answer.content)) == as_texts(document)  # noqa: S314 (our own document)


def from_xml(element: ET.Element) -> Any:
    children = list(element)
    if not children:
        return element.text or ""
    if len({child.tag for child in children}) < len(children) or element.tag == f"{children[0].tag}s":
        return [from_xml(child) for child in children]
    return {child.tag: from_xml(child) for child in children}


def as_texts(document: Any) -> Any:
    if isinstance(document, dict):
        return {name: as_texts(member) for name, member in document.items()}
    if isinstance(document, list):
        return [as_texts(item) for item in document] or ""
    return "" if document is None else str(document).lower() if isinstance(document, bool) else str(document)


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"api_key": "unknown"}, 403, "Clé d’accès"),
        ({"api_key": ""}, 403, "Clé d’accès"),
        ({"service_code": ""}, 400, "service_code"),
        ({"service_code": "electoral-roll"}, 404, "service_code"),
        ({"jurisdiction_id": "elsewhere.example"}, 404, "town.example"),
        ({"lat": "", "long": ""}, 400, "address_string"),
        ({"lat": "north"}, 400, "degrés"),
        ({"long": "181"}, 400, "degrés"),
        ({"lat": "nan"}, 400, "degrés"),
        ({"attribute[problem]": "dragon"}, 400, "problem: "),
        ({"attribute[problem]": ""}, 400, "problem: "),
        ({"email": "no address"}, 400, "reply-email: "),
        ({"description": "x" * 2100}, 400, "details: "),
    ],
)
async def test_what_is_wrong_is_said_in_the_format_that_was_asked_for(
    browser: Browser, environment: pytest.MonkeyPatch, change: dict[str, str], status: int, words: str
) -> None:
    async with caller(environment) as http:
        as_json = await http.post("/requests.json", data=FIXMYSTREET | change)
        as_xml = await http.post("/requests.xml", data=FIXMYSTREET | change)
    assert (as_json.status_code, as_xml.status_code) == (status, status)
    (error,) = as_json.json()
    assert (error["code"], words in error["description"]) == (status, True), error
    root = ET.fromstring(as_xml.content)  # noqa: S314 (our own document)
    assert (root.tag, root.findtext("error/code"), root.findtext("error/description")) == (
        "errors",
        str(status),
        error["description"],
    )
    assert await browser.events() == []


async def test_a_client_that_sends_too_much_waits_and_without_keys_nothing_is_there(
    browser: Browser, environment: pytest.MonkeyPatch
) -> None:
    async with caller(environment, API_PER_MINUTE="1") as http:
        answers = [await http.post("/requests.json", data=FIXMYSTREET) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 429]
        assert int(answers[1].headers["retry-after"]) > 0
        assert (await http.post("/requests.json", content=b"x" * 900_000)).status_code == 413
        assert (await http.get("/services.yaml")).status_code == 404
        assert (await http.get("/requests.json")).status_code == 405
    async with caller(environment, API_KEYS="") as http:
        for path in ("/services.json", "/discovery.xml"):
            assert (await http.get(path)).status_code == 404
        assert (await http.post("/requests.xml", data=FIXMYSTREET)).status_code == 404
