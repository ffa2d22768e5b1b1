"""The pages: phones, mail, letters."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from parvis.simulators.app import Simulators
from parvis.simulators.mail.mailboxes import EnvelopeRecipient, StoredMail
from parvis.simulators.page_texts import TEXTS
from parvis.simulators.settings import Settings
from parvis.simulators.uvicorn_server import bind, port_of

from .conftest import ACCOUNT_SID, CITIZEN, Town, until

HTML_MAIL = (
    b"From: Mairie <mairie@example-town.example>\r\nSubject: <b>R\xc3\xa9ponse</b>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n'
    b"<script>alert(1)</script><p>Bonjour</p>\r\n--x\r\nContent-Type: image/svg+xml\r\n"
    b'Content-Disposition: attachment; filename="l\'image.svg"\r\n\r\n<svg/>\r\n--x--\r\n'
)


async def test_a_conversation_shows_both_sides(twilio_sim: httpx.AsyncClient) -> None:
    await twilio_sim.post("/_sim/inbound", json={"from": CITIZEN, "body": "Une <question> ?"})
    page = (await twilio_sim.get("/")).text
    assert "+33 6 39 98 01 01" in page
    assert "Une &lt;question&gt; ?" in page
    assert "reçu par la mairie" in page
    english = (await twilio_sim.get("/", params={"lang": "en"})).text
    assert "received by the town hall" in english
    assert '<html lang="en">' in english


async def test_a_visitor_can_write_an_sms_from_a_phone(twilio_sim: httpx.AsyncClient, town: Town) -> None:
    assert CITIZEN in (await twilio_sim.get("/write", params={"from": CITIZEN})).text
    form = {"from": "+33 6 39 98 01 01", "to": "+33536490100", "body": "Bonjour"}
    answer = await twilio_sim.post("/write?lang=en", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?lang=en")
    assert town.calls[0].form["From"] == CITIZEN


async def test_a_visitor_can_write_a_mail(mail_sim: httpx.AsyncClient, town: Town) -> None:
    form = {
        "from": "camille@citizens.example",
        "to": "mairie@example-town.example",
        "subject": "Un mot",
        "text": "Bonjour",
    }
    assert (await mail_sim.post("/write", data=form)).status_code == 303
    assert b"Subject: Un mot" in town.mails[0].content
    assert "Un mot" in (await mail_sim.get("/")).text


async def test_the_magic_numbers_and_addresses_are_explained(
    twilio_sim: httpx.AsyncClient, mail_sim: httpx.AsyncClient
) -> None:
    assert "+33 6 39 98 99 60" in (await twilio_sim.get("/numbers")).text
    assert "rebond@" in (await mail_sim.get("/addresses")).text


async def test_a_mail_is_shown_without_running_it(outside: Simulators, mail_sim: httpx.AsyncClient) -> None:
    await outside.mail.box.keep(StoredMail("m1", "", (EnvelopeRecipient(CITIZEN),), HTML_MAIL))
    page = (await mail_sim.get("/mail/m1")).text
    assert "<script>" not in page
    assert "&lt;b&gt;R" in page
    assert "<iframe sandbox title=" in page
    framed = await mail_sim.get("/mail/m1/html")
    assert framed.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    image = await mail_sim.get("/mail/m1/attachments/0")
    assert image.headers["content-disposition"] == "attachment; filename*=UTF-8''l%27image.svg"
    assert image.headers["content-type"] == "application/octet-stream"
    assert (await mail_sim.get("/mail/m1/attachments/1")).status_code == 404
    assert (await mail_sim.get("/mail/m2")).status_code == 404


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff", b"Content-Type: text/plain; charset=klingon\r\n\r\nx", b"From: \xff\r\n\r\n"]
)
async def test_a_strange_mail_does_not_break_the_pages(
    outside: Simulators, mail_sim: httpx.AsyncClient, content: bytes
) -> None:
    await outside.mail.box.keep(StoredMail("m1", "", (EnvelopeRecipient(CITIZEN),), content))
    for path in ("/", "/mail/m1", "/mail/m1/html", "/mail/m1/raw", "/_sim/messages"):
        assert (await mail_sim.get(path)).status_code == 200


async def test_the_letters_are_listed_newest_first_and_open_inline(
    outside: Simulators, mail_sim: httpx.AsyncClient
) -> None:
    assert "Aucune lettre" in (await mail_sim.get("/letters")).text
    folder = outside.settings.letters_dir
    (folder / "2026").mkdir(parents=True)
    for age, name in enumerate(("2026/b é.pdf", "a.pdf", ".writing.pdf", "c.tmp")):
        (folder / name).write_bytes(b"%PDF-1.7 " + name.encode())
        os.utime(folder / name, (1_700_000_000 - age, 1_700_000_000 - age))
    (folder.parent / "secret.pdf").write_bytes(b"secret")
    letters = (await mail_sim.get("/_sim/letters")).json()["letters"]
    assert [letter["name"] for letter in letters] == ["2026/b é.pdf", "a.pdf"]
    opened = await mail_sim.get(letters[0]["url"])
    assert (opened.headers["content-type"], opened.headers["content-disposition"]) == ("application/pdf", "inline")
    assert opened.content.startswith(b"%PDF-1.7")
    for outside_the_folder in ("/letters/..%2Fsecret.pdf", "/letters/.writing.pdf"):
        assert (await mail_sim.get(outside_the_folder)).status_code == 404


async def test_the_pages_need_no_script_and_stay_small(
    twilio_sim: httpx.AsyncClient, mail_sim: httpx.AsyncClient
) -> None:
    for client, paths in (
        (twilio_sim, ("/", "/write", "/numbers")),
        (mail_sim, ("/", "/letters", "/write", "/addresses")),
    ):
        for path in paths:
            page = await client.get(path)
            assert "<script" not in page.text
            assert len(page.content) < 50_000
            assert len(re.findall("<h1", page.text)) == 1


async def test_the_probes_answer(twilio_sim: httpx.AsyncClient, mail_sim: httpx.AsyncClient) -> None:
    for client in (twilio_sim, mail_sim):
        for path in ("/live", "/ready"):
            assert (await client.get(path)).json() == {"status": "ok"}


def test_every_text_is_in_both_languages() -> None:
    assert all(french and english for french, english in TEXTS.values())


def environment(tmp_path: Path, **changed: str) -> dict[str, str]:
    values = {
        "TWILIO_PORT": "0",
        "MAIL_SMTP_PORT": "0",
        "MAIL_WEB_PORT": "0",
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": "t",
        "MAIL_USERNAME": "mairie",
        "MAIL_PASSWORD": "p",
        "MAIL_CERTIFICATE": str(tmp_path / "relay.pem"),
        "MAIL_DIR": str(tmp_path / "mail"),
        "LETTERS_DIR": str(tmp_path / "letters"),
    }
    return {f"PARVIS_OUTSIDE_{name}": value for name, value in (values | changed).items() if value}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_process_starts_and_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "parvis.simulators",
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    first = await process.stdout.readline()
    assert first.startswith(b"outside.started twilio=http://127.0.0.1:")
    process.send_signal(number)
    out, err = await process.communicate()
    assert (process.returncode, out, err) == (0, b"outside.stopped\n", b"")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"TWILIO_AUTH_TOKEN": ""}, "PARVIS_OUTSIDE_TWILIO_AUTH_TOKEN"),
        ({"SMS_WEBHOOK_URL": "www.example-town.example"}, "PARVIS_OUTSIDE_SMS_WEBHOOK_URL"),
        ({"MAIL_WEB_PORT": "many"}, "PARVIS_OUTSIDE_MAIL_WEB_PORT"),
        ({"SMS_WEBHOOK_URLS": "{"}, "PARVIS_OUTSIDE_SMS_WEBHOOK_URLS"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, changed: dict[str, str], named: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "parvis.simulators"],
        env=environment(tmp_path, **changed),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 78
    assert named in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    taken = bind("127.0.0.1", 0, "something else")
    port = port_of(taken)
    with taken:
        ended = subprocess.run(
            [sys.executable, "-m", "parvis.simulators"],
            env=environment(tmp_path, MAIL_SMTP_PORT=str(port)),
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 78
    assert f"port {port} on 127.0.0.1 cannot be used for the mail relay" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


async def test_a_hanging_client_does_not_delay_the_end(outside: Simulators, twilio_sim: httpx.AsyncClient) -> None:
    await twilio_sim.post("/_sim/faults", json={"lists": "hang"})
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
    waiting = asyncio.create_task(twilio_sim.get(path, auth=(ACCOUNT_SID, "not-a-secret"), timeout=30))
    await until(lambda: outside.background.waiting)
    await outside.background.stop()
    assert (await waiting).status_code == 500
