"""Tests the steps from form to review to receipt, with rate limits: typed text is never lost."""

import hashlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest

from parvis.common.contract.contact import ContactReceived
from parvis.ingest_web.app import build

from .conftest import ROADS, Browser, hidden

pytestmark = pytest.mark.asyncio(loop_scope="module")
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 100
REVIEW = {"_step": "review"}
A_HOME = {"x-forwarded-for": "203.0.113.7"}


@asynccontextmanager
async def another_door(patch: pytest.MonkeyPatch, **settings: str) -> AsyncGenerator[httpx.AsyncClient]:
    with patch.context() as here:
        for name, value in settings.items():
            here.setenv(f"PARVIS_INGEST_WEB_{name}", value)
        service = await build()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(service.app), base_url="http://town.example", headers=A_HOME
    ) as http:
        yield http
    for close in service.closing:
        await close()


async def test_the_review_shows_every_answer_and_sends_nothing(browser: Browser) -> None:
    fields = ROADS | {"your-name": "Camille Exemple", "reply-channel": "phone", "reply-phone": "0536491234"}
    photo = {"photo": ("trou.png", PNG, "image/png")}
    page = await browser.send("road-report", fields | REVIEW, files=photo)

    assert page.status_code == 200
    for words in ("Vérifier avant d’envoyer", "Nid-de-poule", "Un trou.", "trou.png", "Camille", "05 36 49 12 34"):
        assert words in page.text
    assert not await browser.events()


async def test_the_reviewed_answers_are_sent(browser: Browser) -> None:
    text = 'Une ligne "citée"\n\tpuis <b>une autre</b>  \x01\N{ZERO WIDTH SPACE}'
    page = await browser.send("road-report", ROADS | REVIEW | {"details": text}, files={"photo": ("trou.png", PNG)})
    sent = await browser.send("road-report", hidden(page.text))
    contact = await browser.the_contact()
    original = json.loads((browser.blobs / contact.original.blob).read_bytes())

    assert sent.status_code == 303
    assert original["fields"]["details"] == [text]
    assert contact.personal.answers["details"] == text.replace("\x01", "\N{REPLACEMENT CHARACTER}")
    assert contact.attachments[0].sha256 == hashlib.sha256(PNG).hexdigest()


async def test_going_back_from_the_review_keeps_everything(browser: Browser) -> None:
    page = await browser.send("road-report", ROADS | REVIEW, files={"photo": ("trou.png", PNG)})
    form = await browser.send("road-report", hidden(page.text) | {"_step": "change"})

    assert 'formaction="/demarches/road-report?lang=fr#f-place"' in page.text
    assert form.status_code == 200
    assert "12 rue des Lilas" in form.text
    assert "Retirer trou.png" in form.text
    assert not await browser.events()


async def test_a_file_can_be_taken_out_again(browser: Browser) -> None:
    page = await browser.send("road-report", ROADS | REVIEW, files={"photo": ("trou.png", PNG)})
    form = await browser.send("road-report", hidden(page.text) | {"_step": "change"})
    await browser.send("road-report", hidden(form.text) | ROADS | {"_drop-photo": hashlib.sha256(PNG).hexdigest()})

    assert not (await browser.the_contact()).attachments


async def test_another_file_is_added_to_the_stored_one(browser: Browser) -> None:
    page = await browser.send("road-report", ROADS | {"place": ""}, files={"photo": ("un.png", PNG)})
    await browser.send("road-report", hidden(page.text) | ROADS, files={"photo": ("deux.png", PNG + b"2")})

    assert (await browser.the_contact()).personal.file_names == ("un.png", "deux.png")


async def test_reviewing_a_sent_form_again_leads_to_its_receipt(browser: Browser) -> None:
    inputs = await browser.open("road-report") | ROADS
    sent = await browser.send("road-report", inputs)
    again = await browser.send("road-report", inputs | REVIEW)

    assert again.status_code == 303
    assert again.headers["location"] == sent.headers["location"]


async def test_a_form_sent_too_quickly_is_shown_for_review(browser: Browser, environment: pytest.MonkeyPatch) -> None:
    async with another_door(environment, QUICKEST_S="60") as http:
        form = hidden((await http.get("/demarches/road-report")).text)
        asked = await http.post("/demarches/road-report", data=form | ROADS)
        sent = await http.post("/demarches/road-report", data=hidden(asked.text))
        by_hand = await http.post("/demarches/road-report", data=form | ROADS | REVIEW)

    assert asked.status_code == 422
    assert "12 rue des Lilas" in asked.text
    assert sent.status_code == 303
    assert by_hand.status_code == 303
    assert len(await browser.events()) == 1


async def test_a_source_that_sends_too_much_waits_with_its_text(
    browser: Browser, environment: pytest.MonkeyPatch
) -> None:
    async with another_door(environment, SENDS_AT_ONCE="2", SENDS_PER_MINUTE="1") as http:
        answers = [
            await http.post("/demarches/road-report", data=await browser.open("road-report") | ROADS) for _ in range(3)
        ]
        other = {"x-forwarded-for": "203.0.113.7, 198.51.100.2"}
        neighbour = await http.post("/demarches/road-report", data=hidden(answers[2].text) | ROADS, headers=other)

    assert [answer.status_code for answer in answers] == [303, 303, 429]
    assert 0 < int(answers[2].headers["retry-after"]) <= 60
    assert "12 rue des Lilas" in answers[2].text
    assert neighbour.status_code == 303
    assert len(await browser.events()) == 3


async def test_a_form_says_from_which_networks_it_came_and_not_their_addresses(
    browser: Browser, environment: pytest.MonkeyPatch
) -> None:
    async with another_door(environment) as http:
        for client in ("203.0.113.7", "203.0.113.8", "10.1.2.3"):
            headers = {"x-forwarded-for": client}
            await http.post("/demarches/road-report", data=await browser.open("road-report") | ROADS, headers=headers)
    events = await browser.events()
    one, neighbour, inside = (ContactReceived.model_validate_json(event).sources for event in events)

    assert len(one) == 3
    assert one[0] != neighbour[0]
    assert one[1:] == neighbour[1:]
    assert inside == ()
    assert not any(b"203.0" in event for event in events)


async def test_under_attack_a_sum_takes_the_place_of_waiting(browser: Browser, environment: pytest.MonkeyPatch) -> None:
    narrow = {"SENDS_AT_ONCE": "1", "SENDS_PER_MINUTE": "0.01", "WORK_BITS": "8", "ASKS_FOR_WORK": "true"}
    async with another_door(environment, **narrow) as http:
        await http.post("/demarches/road-report", data=await browser.open("road-report") | ROADS)
        asked = await http.post("/demarches/road-report", data=await browser.open("road-report") | ROADS)
        inputs = hidden(asked.text) | ROADS
        seed = inputs["_once"].split(".")[0]
        guesses = (str(n) for n in range(10_000))
        proof = next(n for n in guesses if hashlib.sha256(f"{seed}.{n}".encode()).digest()[0] == 0)
        wrong = await http.post("/demarches/road-report", data=inputs | {"_proof": "x"})
        sent = await http.post("/demarches/road-report", data=inputs | {"_proof": proof})
        elsewhere = await http.post(
            "/demarches/road-report", data=await browser.open("road-report") | ROADS | {"_proof": proof}
        )

    assert asked.status_code == wrong.status_code == elsewhere.status_code == 429
    assert 'data-work="8"' in asked.text
    assert sent.status_code == 303


async def test_a_form_that_is_too_heavy_comes_back_with_its_text(
    browser: Browser, environment: pytest.MonkeyPatch
) -> None:
    async with another_door(environment, LARGEST_REQUEST_MB="1") as http:
        inputs = await browser.open("road-report") | ROADS
        photos = [("photo", (f"{n}.png", PNG + b"x" * 600_000)) for n in range(2)]
        answer = await http.post("/demarches/road-report", data=inputs, files=photos)

    assert answer.status_code == 413
    assert "12 rue des Lilas" in answer.text
    assert "Ils peuvent avoir 1 Mo en tout" in answer.text


async def test_files_sent_ahead_come_back_under_our_seal(browser: Browser) -> None:
    inputs = await browser.open("road-report")
    ours = {name: inputs[name] for name in ("_once", "_csrf")}
    ahead = await browser.http.post(
        "/demarches/road-report/fichiers", data=ours, files={"photo": ("trou.png", PNG, "image/png")}
    )
    wrong = await browser.http.post("/demarches/road-report/fichiers", data=ours, files={"photo": ("x.png", b"MZ")})
    strange = await browser.http.post("/demarches/road-report/fichiers", files={"photo": ("trou.png", PNG)})
    (seal,) = ahead.json()["kept"]["photo"]
    await browser.send("road-report", inputs | ROADS | {"_kept-photo": seal})

    assert (ahead.status_code, wrong.status_code, strange.status_code) == (201, 422, 403)
    assert "x.png" in wrong.json()["problems"][0]
    assert (await browser.the_contact()).personal.file_names == ("trou.png",)


@pytest.mark.parametrize("step", ["change", "review", ""])
async def test_files_of_a_form_that_is_never_sent_are_counted_too(
    browser: Browser, environment: pytest.MonkeyPatch, step: str
) -> None:
    """Else one page, sent again and again with other files, fills the disk."""
    narrow = {"SENDS_AT_ONCE": "1", "SENDS_PER_MINUTE": "0.01", "WORK_BITS": "4", "ASKS_FOR_WORK": "true"}
    async with another_door(environment, **narrow) as http:
        inputs = await browser.open("road-report") | ROADS | {"_step": step} | ({} if step else {"place": ""})
        seed = inputs["_once"].split(".")[0]
        guesses = (str(n) for n in range(10_000))
        inputs["_proof"] = next(n for n in guesses if hashlib.sha256(f"{seed}.{n}".encode()).digest()[0] < 16)
        before = len(browser.stored())
        answers = [
            await http.post(
                "/demarches/road-report", data=inputs, files={"photo": ("trou.png", PNG + seed.encode() + bytes([n]))}
            )
            for n in range(12)
        ]

    assert [answer.status_code for answer in answers[-2:]] == [429, 429]
    assert "12 rue des Lilas" in answers[-1].text or not step
    assert len(browser.stored()) - before <= 10
