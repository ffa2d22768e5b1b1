"""Tests the reception of forms: the pages shown and the rows committed, on the real PostgreSQL without Kafka."""

import asyncio
import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from parvis.common.bus.cloudevents import encode_event
from parvis.common.contract.contact import EVENT_LIMIT_BYTES
from parvis.common.runtime.clock import now
from parvis.common.runtime.service import Service
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.ingest_web.app import build
from parvis.web import tokens

from .conftest import ROADS, Browser, hidden

pytestmark = pytest.mark.asyncio(loop_scope="module")
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 100


async def test_a_form_is_accepted_while_kafka_is_away(browser: Browser) -> None:
    answer = await browser.send("road-report", ROADS | {"reply-channel": "sms", "reply-sms": "06 39 98 00 01"})
    contact = await browser.the_contact()

    assert answer.status_code == 303
    assert answer.headers["location"] == f"/merci/{contact.reference}?lang=fr"
    assert (contact.channel, contact.to, contact.procedure, contact.language) == (
        "web",
        "road-report",
        "road-report",
        "fr",
    )
    assert contact.personal.answers == {"problem": "pothole", "place": "12 rue des Lilas", "details": "Un trou."}
    assert contact.personal.text.startswith("Un trou.\n\nQuel est le problème\xa0? : Nid-de-poule")
    assert contact.personal.from_
    assert contact.personal.from_.value == "+33639980001"
    assert [(r.channel, r.address) for r in contact.personal.reply_channels] == [("sms", "+33639980001")]
    assert contact.contact_point_hash
    assert contact.machine is None
    assert json.loads((browser.blobs / contact.original.blob).read_bytes())["form"] == "road-report"


async def test_the_receipt_page_shows_the_reference_and_nothing_personal(browser: Browser) -> None:
    answer = await browser.send("road-report", ROADS | {"your-name": "Camille Exemple"})
    page = await browser.http.get(answer.headers["location"])

    assert page.status_code == 200
    assert (await browser.the_contact()).reference in page.text
    assert "05 36 49 01 20" in page.text
    assert "Camille" not in page.text
    assert "Lilas" not in page.text


async def test_twenty_clicks_at_once_make_one_contact(browser: Browser) -> None:
    inputs = await browser.open("road-report") | ROADS

    answers = await asyncio.gather(*(browser.send("road-report", inputs) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert len(await browser.events()) == 1


async def test_going_back_and_sending_again_is_the_same_receipt(browser: Browser) -> None:
    inputs = await browser.open("road-report") | ROADS
    first = await browser.send("road-report", inputs)
    second = await browser.send("road-report", inputs)

    assert first.headers["location"] == second.headers["location"]
    assert len(await browser.events()) == 1


async def test_going_back_and_changing_the_text_loses_neither(browser: Browser) -> None:
    inputs = await browser.open("road-report") | ROADS
    first = await browser.send("road-report", inputs)
    changed = inputs | {"details": "Deux trous."}

    asked = await browser.send("road-report", changed)
    again = await browser.send("road-report", changed | hidden(asked.text))

    assert asked.status_code == 409
    assert f"sous la référence {first.headers['location'][7:23]}" in asked.text
    assert "Deux trous." in asked.text
    assert again.status_code == 303
    assert len(await browser.events()) == 2


async def test_all_problems_are_shown_with_the_typed_text(browser: Browser) -> None:
    answer = await browser.send(
        "school-meals",
        {"child_name": "Zoé <b>", "child_birth_date": "hier", "reply-channel": "email", "reply-email": "zoe"},
    )

    assert answer.status_code == 422
    assert "<title>Erreur\N{NO-BREAK SPACE}: Inscrire un enfant à la cantine" in answer.text
    for field in ("child_birth_date", "school", "days", "start_date", "rules_accepted", "your-name", "reply-email"):
        assert f'<a href="#f-{field}">' in answer.text
        assert f'id="f-{field}"' in answer.text
    assert 'value="Zoé &lt;b&gt;"' in answer.text
    assert 'value="zoe"' in answer.text
    assert not await browser.events()


async def test_the_text_stays_in_the_page_while_postgresql_is_away(
    monkeypatch: pytest.MonkeyPatch, browser: Browser
) -> None:
    inputs = await browser.open("road-report") | ROADS
    monkeypatch.setenv("PARVIS_DATABASE_URL", "postgresql+asyncpg://parvis:x@127.0.0.1:1/parvis")
    away = await build()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(away.app), base_url="http://town.example") as http:
        answer = await http.post("/demarches/road-report", data=inputs)
    for close in away.closing:
        await close()

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"
    assert "12 rue des Lilas" in answer.text
    assert hidden(answer.text)["_once"] == inputs["_once"]
    assert (await browser.send("road-report", inputs)).status_code == 303


async def test_a_file_survives_a_mistake_elsewhere_in_the_form(browser: Browser) -> None:
    photo = {"photo": ("trou.png", PNG, "image/png")}
    refused = await browser.send("road-report", ROADS | {"place": ""}, files=photo)
    accepted = await browser.send("road-report", ROADS | hidden(refused.text))
    contact = await browser.the_contact()

    assert refused.status_code == 422
    assert "trou.png" in refused.text
    assert accepted.status_code == 303
    assert contact.personal.file_names == ("trou.png",)
    assert contact.attachments[0].sha256 == hashlib.sha256(PNG).hexdigest()
    assert PNG in browser.stored()


async def test_a_stored_file_follows_the_form_to_a_new_token(browser: Browser) -> None:
    refused = await browser.send("road-report", ROADS | {"place": ""}, files={"photo": ("trou.png", PNG)})
    elsewhere = await browser.open("road-report")
    await browser.send("road-report", hidden(refused.text) | elsewhere | ROADS)
    contact = await browser.the_contact()

    assert contact.attachments[0].blob.startswith(f"{contact.contact_id}/")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("photo.png", b"MZ\x90", "pas d’un format accepté"), ("gros.png", PNG + b"x" * 10_000_001, "trop lourd")],
)
async def test_a_wrong_file_type_is_detected_from_its_content(
    browser: Browser, name: str, content: bytes, said: str
) -> None:
    answer = await browser.send("road-report", ROADS, files={"photo": (name, content, "image/png")})

    assert answer.status_code == 422
    assert said in answer.text


async def test_an_old_page_keeps_the_text_and_gets_a_new_token(browser: Browser, service: Service) -> None:
    inputs = await browser.open("road-report")
    old = tokens.make_one_time_token("form:road-report", b"a secret for tests only", now() - timedelta(days=2))
    answer = await browser.send("road-report", inputs | ROADS | {"_once": old})

    assert answer.status_code == 422
    assert "12 rue des Lilas" in answer.text
    assert (await browser.send("road-report", ROADS | hidden(answer.text))).status_code == 303


@pytest.mark.parametrize("wrong", [{"_once": "x"}, {"_csrf": "x"}, {"_once": ""}])
async def test_a_form_without_our_tokens_is_shown_again(browser: Browser, wrong: dict[str, str]) -> None:
    answer = await browser.send("road-report", await browser.open("road-report") | ROADS | wrong)

    assert answer.status_code == 422
    assert "12 rue des Lilas" in answer.text
    assert not await browser.events()


async def test_another_site_cannot_send_our_form(browser: Browser) -> None:
    answer = await browser.send("road-report", ROADS, headers={"sec-fetch-site": "cross-site"})

    assert answer.status_code == 403
    assert not await browser.events()


async def test_a_form_with_the_honeypot_filled_in_is_flagged_and_accepted(browser: Browser) -> None:
    await browser.send("road-report", ROADS | {"_website": "http://spam.example"})
    contact = await browser.the_contact()

    assert contact.machine
    assert contact.machine.reason == "honeypot"


@pytest.mark.parametrize(
    ("channel", "typed", "address"),
    [
        ("email", "Camille@Example-Town.example", "camille@example-town.example"),
        ("phone", "05 36 49 12 34", "+33536491234"),
        ("post", "3 rue Haute\n00100 Val-Exemple", "Camille Exemple\n3 rue Haute\n00100 Val-Exemple"),
    ],
)
async def test_each_reply_channel_has_its_own_address(browser: Browser, channel: str, typed: str, address: str) -> None:
    fields = ROADS | {"your-name": "Camille Exemple", "reply-channel": channel, f"reply-{channel}": typed}
    answer = await browser.send("road-report", fields)
    contact = await browser.the_contact()

    assert answer.status_code == 303
    assert [(r.channel, r.address) for r in contact.personal.reply_channels] == [(channel, address)]
    assert (contact.contact_point_hash is None) == (channel == "post")


HOSTILE = [
    "<script>alert(1)</script>",
    "{{ 7*7 }}",
    "a\x00b",
    "\ud800",
    "\u202egnp.exe",
    "'; drop table x; --",
    "%00%s{0}",
    "𝕏" * 500,
]


@pytest.mark.parametrize("words", HOSTILE)
async def test_hostile_text_stays_text(browser: Browser, words: str) -> None:
    sent = words.encode("utf-8", "replace").decode()
    fields = ROADS | {"details": sent, "place": sent[:400], "your-name": sent[:100]}
    shown = await browser.send("road-report", fields | {"problem": ""})
    answer = await browser.send("road-report", fields)
    contact = await browser.the_contact()

    assert "<script>alert" not in shown.text
    assert answer.status_code == 303
    assert contact.personal.answers["details"] == sent.replace("\x00", "\N{REPLACEMENT CHARACTER}")


async def test_the_longest_form_still_fits_the_event(browser: Browser) -> None:
    await browser.send("social-appointment", _social({"message": '"𝕏' * 1000}))
    contact = await browser.the_contact()

    assert len(encode_event(contact)) <= EVENT_LIMIT_BYTES


async def test_english_pages_speak_english(browser: Browser) -> None:
    page = await browser.http.get("/demarches/road-report?lang=en")
    answer = await browser.http.post(
        "/demarches/road-report?lang=en", data=hidden(page.text) | ROADS | {"reply-channel": "none"}
    )
    receipt = await browser.http.get(answer.headers["location"])

    assert '<html lang="en">' in page.text
    assert "You can check everything before you send it" in page.text
    assert "Your request is registered" in receipt.text
    assert (await browser.the_contact()).language == "en"


async def test_every_procedure_has_its_page_under_fifty_kilobytes(browser: Browser) -> None:
    home = await browser.http.get("/")
    for file in sorted((Path(__file__).parents[3] / "config/example-town/procedures").glob("*.yaml")):
        assert f"/demarches/{file.stem}?" in home.text
        page = await browser.http.get(f"/demarches/{file.stem}")
        assert page.status_code == 200
        assert len(page.content) < 35_000


async def test_strangers_find_nothing(browser: Browser) -> None:
    for path in ("/demarches/nothing", "/merci/P-0000-0000-0000", "/merci/nothing", "/docs", "/openapi.json"):
        assert (await browser.http.get(path)).status_code == 404
    assert (await browser.http.post("/demarches/nothing", data={})).status_code == 404


def _social(changes: dict[str, Any]) -> dict[str, Any]:
    base = {"subject": ["housing"], "when": ["morning"], "your-name": "Camille Exemple", "reply-channel": "phone"}
    return base | {"reply-phone": "0536491234"} | changes


async def test_before_the_tables_are_made_the_text_stays_in_the_page(
    monkeypatch: pytest.MonkeyPatch, browser: Browser
) -> None:
    empty = load_settings(SharedSettings).database_url.get_secret_value().rpartition("/")[0] + "/parvis"
    monkeypatch.setenv("PARVIS_DATABASE_URL", empty)
    early = await build()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(early.app), base_url="http://town.example") as http:
        answer = await http.post("/demarches/road-report", data=await browser.open("road-report") | ROADS)
    for close in early.closing:
        await close()

    assert answer.status_code == 503
    assert "12 rue des Lilas" in answer.text
