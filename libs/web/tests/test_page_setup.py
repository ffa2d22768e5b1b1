"""Facts about headers, error pages, static files, form limits and the origin of requests."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Request

from parvis.common.contract.errors import Rejected, Unavailable
from parvis.common.town.models import Town
from parvis.web.form_parsing import read_form
from parvis.web.language_negotiation import negotiate_language
from parvis.web.page_setup import install_pages
from parvis.web.pages import PageRenderer
from parvis.web.security_headers import is_same_origin

TOWN = Town.model_validate(
    {
        "name": {"fr": "Mairie d'essai", "en": "Test town"},
        "fictional": True,
        "languages": ["fr", "en"],
        "time_zone": "Europe/Paris",
        "holidays": "FR",
        "mailbox": "mairie@example-town.example",
        "mail_domain": "example-town.example",
        "sms_number": "+33536490100",
        "phone": "+33536490101",
        "web_name": "www.example-town.example",
        "address": ["Mairie", "1 place du Parvis", "00100 Val-Exemple"],
        "clocks": {"answer_within": "10 working days", "legal_basis": "-"},
    }
)


def an_app(folder: Path) -> FastAPI:
    pages = PageRenderer(TOWN, folder=folder, theme=folder / "theme.css")
    app = FastAPI(openapi_url=None)
    install_pages(app, pages)

    @app.post("/form")
    async def form(request: Request) -> dict[str, Any]:
        form = await read_form(request, largest_bytes=20_000, largest_file_bytes=100, most_files=2)
        files = {
            name: [(f.name, len(await f.content()), f.size_bytes) for f in several]
            for name, several in form.files.items()
        }
        await form.close()
        return {
            "fields": form.fields,
            "typed": form.typed,
            "too_heavy": form.is_too_heavy,
            "files": files,
            "same": is_same_origin(request, "https://town.example"),
            "language": negotiate_language(request, TOWN),
        }

    pages_of_a_part = APIRouter()

    @pages_of_a_part.get("/note")
    async def read_note() -> None:
        pass

    @pages_of_a_part.put("/note")
    async def write_note() -> None:
        pass

    app.include_router(pages_of_a_part)

    @app.get("/away")
    async def away() -> None:
        raise Unavailable("PostgreSQL does not answer")

    @app.get("/api/wrong")
    async def wrong() -> None:
        raise Rejected("no such thing")

    @app.get("/api/closed")
    async def closed() -> None:
        raise HTTPException(401, "who are you?", headers={"www-authenticate": "Bearer"})

    _ = form, read_note, write_note, away, wrong, closed
    return app


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient]:
    (tmp_path / "theme.css").write_text(":root { --accent: #333; }")
    for language in ("fr", "en"):
        (tmp_path / "words").mkdir(exist_ok=True)
        (tmp_path / "words" / f"{language}.yaml").write_text("a: b")
    transport = httpx.ASGITransport(an_app(tmp_path), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://town.example") as client:
        yield client


async def test_an_error_keeps_the_headers_that_its_status_needs(browser: httpx.AsyncClient) -> None:
    """RFC 9110: 405 says which methods there are, 401 how to say who one is."""
    assert (await browser.get("/form")).headers["allow"] == "POST"
    assert (await browser.post("/note")).headers["allow"] == "GET, PUT"
    assert (await browser.get("/api/closed")).headers["www-authenticate"] == "Bearer"


async def test_every_answer_carries_the_headers(browser: httpx.AsyncClient) -> None:
    for path in ("/nothing", "/away", "/api/wrong"):
        headers = (await browser.get(path)).headers
        assert "script" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


async def test_errors_are_pages_in_the_readers_language_and_json_for_programs(browser: httpx.AsyncClient) -> None:
    lost = await browser.get("/nothing", headers={"accept-language": "en-GB,en;q=0.8"})
    away = await browser.get("/away")
    wrong = await browser.get("/api/wrong")

    assert lost.status_code == 404
    assert "This page does not exist" in lost.text
    assert '<html lang="en">' in lost.text
    assert away.status_code == 503
    assert away.headers["retry-after"] == "30"
    assert "momentanément indisponible" in away.text
    assert wrong.json() == {"detail": "no such thing"}


async def test_static_files_are_kept_for_ever_under_a_name_that_changes(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/nothing")).text
    addresses = [part.split('"')[0] for part in page.split('href="')[1:] if part.startswith("/static/")]

    assert any("theme" in address for address in addresses)
    for address in addresses:
        answer = await browser.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert (await browser.get("/static/..%2fpages.py")).status_code == 404


async def test_a_form_is_read_and_cleaned(browser: httpx.AsyncClient) -> None:
    answer = await browser.post(
        "/form", data={"text": "a\r\nb\x00", "days": ["mon", "tue"]}, files={"photo": ("é.png", b"x" * 101)}
    )

    assert answer.json()["fields"] == {"text": ["a\nb\N{REPLACEMENT CHARACTER}"], "days": ["mon", "tue"]}
    assert answer.json()["typed"]["text"] == ["a\nb\x00"]
    assert answer.json()["files"] == {"photo": [["é.png", 0, 101]]}


async def test_a_file_has_the_name_that_it_has_on_its_senders_disk(browser: httpx.AsyncClient) -> None:
    sent = 'facture "juin"\r\n100%25.pdf'  # httpx writes it as browsers do
    answer = await browser.post("/form", files={"photo": (sent, b"x")})

    assert answer.json()["files"]["photo"][0][0] == 'facture "juin"  100%25.pdf'


async def test_a_form_that_is_too_heavy_still_gives_its_text(browser: httpx.AsyncClient) -> None:
    files = [("photo", ("a.png", b"x" * 15_000)), ("photo", ("b.png", b"x" * 15_000))]
    form = (await browser.post("/form", data={"text": "kept"}, files=files)).json()

    assert form["too_heavy"]
    assert form["fields"] == {"text": ["kept"]}
    assert form["files"] == {"photo": [["a.png", 0, 15_000], ["b.png", 0, 15_000]]}


async def test_text_without_end_is_refused(browser: httpx.AsyncClient) -> None:
    assert (await browser.post("/form", files={"text": (None, "x" * 90_000)})).status_code == 413
    assert (await browser.post("/form", files={f"f{n}": (None, "x") for n in range(301)})).status_code == 400


async def test_a_form_over_its_limit_is_refused(browser: httpx.AsyncClient) -> None:
    async def endless() -> AsyncGenerator[bytes]:
        for _ in range(30):
            yield b"a" * 1000

    form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await browser.post("/form", data={"text": "x" * 30_000})).status_code == 413
    assert (await browser.post("/form", content=endless(), headers=form)).status_code == 413


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site", "origin": "https://town.example"}, False),
        ({"origin": "https://town.example"}, True),
        ({"origin": "null"}, False),
        ({"origin": "http://["}, False),
        ({"origin": "https://evil.example"}, False),
        ({}, True),
    ],
)
async def test_only_our_own_pages_may_send(browser: httpx.AsyncClient, headers: dict[str, str], same: bool) -> None:
    assert (await browser.post("/form", data={"a": "b"}, headers=headers)).json()["same"] is same
