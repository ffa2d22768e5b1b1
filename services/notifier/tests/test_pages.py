"""Facts about the notifier's pages: unsubscription, and reading a reply with a one-time code."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import yaml
from services.notifier.tests.parts import MakeReply, Notifier
from structlog.testing import capture_logs

from parvis.common.contract.contact import ClaimCheck, ContactId, ContactPoint, ScanVerdict
from parvis.common.contract.delivery import make_delivery_id
from parvis.common.contract.errors import Unavailable
from parvis.common.contract.preference import PreferenceChanged
from parvis.common.contract.reply import ReplyRequested
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.runtime.clock import now
from parvis.common.storage.blobs import BlobStore
from parvis.notifier import pages
from parvis.notifier.app.parts import Clients
from parvis.notifier.app.service import build_site
from parvis.notifier.render.message_renderer import MessageRenderer

HERE = "http://127.0.0.1:8120"
MAIL = ContactPoint(kind="email", value="celeste@citizens.example")
PHONE = ContactPoint(kind="phone", value="+33639980012")
SECRET = "Votre demande de logement est acceptée."


@dataclass
class Site:
    """The notifier's pages, a citizen's browser, and a clock that tests can set."""

    browser: httpx.AsyncClient
    notifier: Notifier
    renderer: MessageRenderer
    at: datetime

    def path(self, reply: ReplyRequested) -> str:
        return self.renderer.inbox_link(reply).removeprefix(HERE)

    async def ask_code(self, reply: ReplyRequested, to: int = 0) -> httpx.Response:
        return await self.browser.post(f"{self.path(reply)}/code", data={"to": to})

    async def enter(self, reply: ReplyRequested, code: str) -> httpx.Response:
        return await self.browser.post(f"{self.path(reply)}/open", data={"code": code})

    @property
    def codes_by_sms(self) -> list[str]:
        return [
            matches[0]
            for message in self.notifier.at_twilio
            if (matches := re.findall(r"code est (\d{6})", message.body))
        ]


@pytest.fixture
async def site(notifier: Notifier) -> AsyncGenerator[Site]:
    async with site_of(notifier) as made:
        yield made


@asynccontextmanager
async def site_of(notifier: Notifier) -> AsyncGenerator[Site]:
    dependencies = notifier.parts.pages()
    transport = httpx.ASGITransport(app=build_site(dependencies))
    async with httpx.AsyncClient(transport=transport, base_url=HERE, headers={"accept-language": "fr"}) as browser:
        made = Site(browser, notifier, notifier.renderer, now())
        dependencies.pages.clock = lambda: made.at
        yield made


@asynccontextmanager
async def published(notifier: Notifier) -> AsyncGenerator[None]:
    """Publish what the outbox holds."""
    async with notifier.running():
        yield


async def sent_status(site: Site, make_reply: MakeReply, key: str = "1", **changes: Any) -> ReplyRequested:
    reply = make_reply(key, **({"kind": "status", "legal": False, "channel": "email", "points": (MAIL,)} | changes))
    async with site.notifier.running():
        await site.notifier.take(reply)
        await site.notifier.until(lambda states: not {"planned", "reserved"} & set(states))
    return reply


def unsubscribe_path(site: Site, reply: ReplyRequested) -> str:
    return site.renderer.links.unsubscribe(make_delivery_id(reply.reply_id, "email")).removeprefix(HERE)


@pytest.mark.stack
async def test_one_click_unsubscribes_and_a_legal_notice_takes_another_channel(
    site: Site, make_reply: MakeReply
) -> None:
    first = await sent_status(site, make_reply)
    assert "List-Unsubscribe=One-Click" in site.notifier.outside.mail.box.mails[0].content.decode()
    clicked = await site.browser.post(unsubscribe_path(site, first), data={"List-Unsubscribe": "One-Click"})
    assert clicked.status_code == 200
    assert "celeste" not in clicked.text
    both = (MAIL, PHONE)
    await sent_status(site, make_reply, "2")
    await sent_status(
        site,
        make_reply,
        "3",
        kind="registration",
        legal=True,
        points=both,
        personal={"variables": {"received_on": "x"}},
    )
    states = {(row.kind, row.channel): row.state for row in await site.notifier.rows()}
    assert len(site.notifier.outside.mail.box.mails) == 1, "no second mail"
    assert states["registration", "sms"] == "accepted"
    (change,) = [PreferenceChanged.model_validate_json(r.value) for r in site.notifier.producer.sent if r.topic.endswith("preference.changed")]  # fmt: skip
    assert (change.source, change.opt_outs, change.contact_point_hash) == (
        "unsubscribe",
        ("email",),
        site.notifier.chooser.hash_of(MAIL),
    )


@pytest.mark.stack
async def test_a_second_click_changes_nothing(site: Site, make_reply: MakeReply) -> None:
    reply = await sent_status(site, make_reply)
    async with published(site.notifier):
        answers = await asyncio.gather(*(site.browser.post(unsubscribe_path(site, reply)) for _ in range(3)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(record.topic.endswith("preference.changed") for record in site.notifier.producer.sent) == 1


@pytest.mark.stack
async def test_opening_the_link_unsubscribes_nobody(site: Site, make_reply: MakeReply) -> None:
    reply = await sent_status(site, make_reply)
    page = await site.browser.get(unsubscribe_path(site, reply))
    assert page.status_code == 200
    assert "c•••@citizens.example" in page.text
    assert '<form method="post">' in page.text
    english = await site.browser.get(unsubscribe_path(site, reply), params={"lang": "en"})
    assert "Unsubscribe from information emails" in english.text
    async with published(site.notifier):
        pass
    assert not [record for record in site.notifier.producer.sent if record.topic.endswith("preference.changed")]


@pytest.mark.stack
@pytest.mark.parametrize("token", ["x", "0" * 32 + ".aaaaaaaaaaaaaaaa", "%00", "a" * 5000])
async def test_a_forged_link_is_not_found(site: Site, token: str) -> None:
    for path in ("/unsubscribe/", "/inbox/"):
        assert (await site.browser.get(path + token)).status_code == 404
        assert (await site.browser.post(path + token)).status_code in {404, 405}


async def stored_reply(site: Site, make_reply: MakeReply, **changes: Any) -> ReplyRequested:
    """A stored reply, which was never sent."""
    values = {
        "points": (PHONE, MAIL),
        "personal": {"text": SECRET},
        "requested_at": site.at,
        "send_at": site.at + timedelta(days=9),
    }
    reply = make_reply("stored", **(values | changes))
    await site.notifier.take(reply)
    return reply


@pytest.mark.stack
async def test_a_reply_is_read_with_a_code_even_if_it_was_never_sent(site: Site, make_reply: MakeReply) -> None:
    reply = await stored_reply(site, make_reply)
    page = await site.browser.get(site.path(reply))
    assert page.status_code == 200
    assert SECRET not in page.text
    assert PHONE.value not in page.text
    assert "•• •• •• •• 12" in page.text
    assert "c•••@citizens.example" in page.text
    assert "one-time-code" in (await site.ask_code(reply)).text
    (code,) = site.codes_by_sms
    opened = await site.enter(reply, f"{code[:3]} {code[3:]}")
    assert opened.status_code == 303
    read = await site.browser.get(site.path(reply))
    assert SECRET in read.text
    assert read.headers["cache-control"] == "no-store"
    assert "noindex" in read.headers["x-robots-tag"]


@pytest.mark.stack
async def test_a_code_comes_by_mail_too(site: Site, make_reply: MakeReply) -> None:
    reply = await stored_reply(site, make_reply)
    await site.ask_code(reply, to=1)
    (mail,) = site.notifier.outside.mail.box.mails
    assert mail.recipients[0].address == MAIL.value
    (code,) = set(re.findall(rb"^Subject:.*?(\d{6})", mail.content, re.MULTILINE)) or {b""}
    code = code or re.findall(rb"    (\d{6})", mail.content)[0]
    assert (await site.enter(reply, code.decode())).status_code == 303


@pytest.mark.stack
async def test_five_wrong_codes_are_enough_and_the_right_one_works_once(site: Site, make_reply: MakeReply) -> None:
    reply = await stored_reply(site, make_reply)
    await site.ask_code(reply)
    (code,) = site.codes_by_sms
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    for _ in range(5):
        answer = await site.enter(reply, wrong)
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text
    assert (await site.enter(reply, code)).status_code == 422
    await site.ask_code(reply)
    assert (await site.enter(reply, site.codes_by_sms[1])).status_code == 303
    assert (await site.enter(reply, site.codes_by_sms[1])).status_code == 422


@pytest.mark.stack
async def test_an_old_code_a_newer_one_and_another_replys_do_not_open(site: Site, make_reply: MakeReply) -> None:
    reply = await stored_reply(site, make_reply)
    other = make_reply("other", points=(PHONE,), requested_at=site.at, send_at=site.at + timedelta(days=9))
    await site.notifier.take(other)
    await site.ask_code(reply)
    await site.ask_code(reply)
    first, second = site.codes_by_sms
    if first != second:
        assert (await site.enter(reply, first)).status_code == 422
    await site.ask_code(other)
    if site.codes_by_sms[2] != second:
        assert (await site.enter(reply, site.codes_by_sms[2])).status_code == 422
    site.at += timedelta(minutes=11)
    assert (await site.enter(reply, second)).status_code == 422


@pytest.mark.stack
async def test_the_number_of_codes_is_limited(site: Site, make_reply: MakeReply) -> None:
    reply = await stored_reply(site, make_reply)
    pages = [(await site.ask_code(reply)).text for _ in range(5)]
    assert len(site.codes_by_sms) == 3
    assert "Trop de codes" in pages[3]
    site.at += timedelta(hours=2)
    await asyncio.gather(*(site.ask_code(reply) for _ in range(9)))
    site.at += timedelta(hours=2)
    await site.ask_code(reply)
    assert len(site.codes_by_sms) == 6, "six a day, however many ask at a time"
    site.at += timedelta(days=1)
    await site.ask_code(reply)
    assert len(site.codes_by_sms) == 7


@pytest.mark.stack
async def test_links_and_reading_sessions_expire(site: Site, make_reply: MakeReply) -> None:
    reply = await stored_reply(site, make_reply)
    await site.ask_code(reply)
    await site.enter(reply, site.codes_by_sms[0])
    assert SECRET in (await site.browser.get(site.path(reply))).text
    site.at += timedelta(minutes=31)
    assert SECRET not in (await site.browser.get(site.path(reply))).text
    site.at += timedelta(days=90)
    assert (await site.browser.get(site.path(reply))).status_code == 404


@pytest.mark.stack
async def test_a_cookie_of_one_reply_opens_no_other_and_a_forged_one_none(site: Site, make_reply: MakeReply) -> None:
    reply, other = (
        await stored_reply(site, make_reply),
        make_reply("other", points=(PHONE,), personal={"text": SECRET}, requested_at=site.at),
    )
    await site.notifier.take(other)
    await site.ask_code(reply)
    opened = await site.enter(reply, site.codes_by_sms[0])
    cookie = opened.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    value = cookie.partition("=")[2].partition(";")[0]
    for given in (value, value[:-1] + ("0" if value[-1] != "0" else "1"), "e30.00", ""):
        page = await site.browser.get(site.path(other), headers={"cookie": f"parvis-inbox={given}"})
        assert SECRET not in page.text


@pytest.mark.stack
async def test_the_files_of_a_reply_are_saved_and_never_shown_in_our_name(site: Site, make_reply: MakeReply) -> None:
    blobs = BlobStore(f"file://{site.notifier.folder / 'blobs'}")
    page, bad = [
        await blobs.put(ContactId("0b8e1c5a-13d4-5f6a-8f10-6d2f6a7b9c01"), c, "text/html")
        for c in (b"<script>1</script>", b"x")
    ]
    infected = bad.model_copy(update={"scan": "infected"})
    reply = await stored_reply(
        site, make_reply, attachments=(page, infected), personal={"text": SECRET, "file_names": ("acte d’état.html", "virus.exe")}
    )  # fmt: skip
    path = f"{site.path(reply)}/files/1"
    assert (await site.browser.get(path)).status_code == 404
    await site.ask_code(reply)
    await site.enter(reply, site.codes_by_sms[0])
    assert "virus.exe" not in (await site.browser.get(site.path(reply))).text
    saved = await site.browser.get(path)
    assert saved.content == b"<script>1</script>"
    assert saved.headers["content-disposition"].startswith("attachment; filename*=UTF-8''acte%20d")
    assert saved.headers["content-type"] == "application/octet-stream"
    assert (await site.browser.get(f"{site.path(reply)}/files/2")).status_code == 404


async def opened(site: Site, make_reply: MakeReply, *files: ClaimCheck) -> str:
    """The path of a reply whose citizen has entered the code."""
    reply = await stored_reply(
        site, make_reply, attachments=files, personal={"text": SECRET, "file_names": ("acte.pdf",)}
    )
    await site.ask_code(reply)
    assert (await site.enter(reply, site.codes_by_sms[0])).status_code == 303
    return site.path(reply)


async def stored_file(site: Site, scan: ScanVerdict = "clean") -> ClaimCheck:
    blobs = BlobStore(f"file://{site.notifier.folder / 'blobs'}")
    claim = await blobs.put(ContactId("0b8e1c5a-13d4-5f6a-8f10-6d2f6a7b9c01"), b"%PDF-1.4", "application/pdf")
    return claim.model_copy(update={"scan": scan})


@pytest.mark.stack
@pytest.mark.parametrize("scan", ["clean", "pending"])
async def test_a_missing_file_has_a_page_that_says_so(site: Site, make_reply: MakeReply, scan: ScanVerdict) -> None:
    file = await stored_file(site, scan)
    path = await opened(site, make_reply, file.model_copy(update={"blob": f"{file.blob[:-1]}x"}))
    assert f"{path}/files/1" in (await site.browser.get(path)).text
    with capture_logs() as logs:
        page = await site.browser.get(f"{path}/files/1")
    assert page.status_code == 410
    assert "Ce document est introuvable" in page.text
    assert f'href="{path}"' in page.text
    assert [line["reply_id"] for line in logs if line["event"] == "file.missing"] == [
        row.reply_id for row in await site.notifier.rows()
    ]


@pytest.mark.stack
async def test_a_file_cannot_be_opened_while_the_file_store_is_away(
    site: Site, make_reply: MakeReply, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await opened(site, make_reply, await stored_file(site))

    async def fail(_: BlobStore, claim: ClaimCheck) -> bytes:
        raise Unavailable(f"the file store is away: {claim.blob}")

    monkeypatch.setattr(BlobStore, "get", fail)
    page = await site.browser.get(f"{path}/files/1")
    assert page.status_code == 503
    assert "Ce document ne peut pas encore être ouvert" in page.text


@dataclass
class Scanner:
    """A virus scanner whose verdict can be set."""

    verdict: ScanVerdict = "pending"

    async def scan(self, content: bytes, *, limit_s: float = 2.0) -> ScanVerdict:
        return self.verdict


@pytest.mark.stack
@pytest.mark.parametrize(("verdict", "status"), [("clean", 200), ("infected", 404)])
async def test_a_pending_file_waits_for_its_scan_and_an_infected_one_never_opens(
    a_notifier: Callable[..., Notifier], clients: Clients, make_reply: MakeReply, verdict: ScanVerdict, status: int
) -> None:
    scanner = Scanner()
    async with site_of(a_notifier(changed=replace(clients, scanner=cast(AntivirusScanner, scanner)))) as site:
        path = await opened(site, make_reply, await stored_file(site, "pending"))
        page = (await site.browser.get(path)).text
        assert "acte.pdf (analyse antivirus en cours" in page
        assert "/files/1" not in page
        assert (await site.browser.get(f"{path}/files/1")).status_code == 503
        scanner.verdict = verdict
        page = (await site.browser.get(path)).text
        assert ("/files/1" in page) == (verdict == "clean")
        assert ("acte.pdf" in page) == (verdict == "clean")
        assert (await site.browser.get(f"{path}/files/1")).status_code == status


@pytest.mark.stack
async def test_another_sites_form_sends_no_code(site: Site, make_reply: MakeReply) -> None:
    reply = await stored_reply(site, make_reply)
    answer = await site.browser.post(
        f"{site.path(reply)}/code", data={"to": 0}, headers={"sec-fetch-site": "cross-site"}
    )
    assert answer.status_code == 403
    assert not site.codes_by_sms


@pytest.mark.stack
async def test_a_citizen_without_phone_or_email_is_asked_to_call(site: Site, make_reply: MakeReply) -> None:
    home = ContactPoint(kind="post", value="Mme Céleste EXEMPLE\n12 rue X\n99999 VILLE")
    page = await site.browser.get(site.path(await stored_reply(site, make_reply, channel="post", points=(home,))))
    assert "05 36 49 01 10" in page.text
    assert 'name="to"' not in page.text


@pytest.mark.stack
async def test_an_answer_too_long_for_the_only_telephone_is_announced_by_sms(site: Site, make_reply: MakeReply) -> None:
    reply = make_reply("long", points=(PHONE,), personal={"text": f"{SECRET} " + "Encore une phrase. " * 100})
    async with site.notifier.running():
        await site.notifier.take(reply)
        await site.notifier.until(lambda states: states == ["failed", "accepted"])
    assert [row.channel for row in await site.notifier.rows()] == ["sms", "inbox"]
    (message,) = site.notifier.at_twilio
    assert site.renderer.inbox_link(reply) in message.body
    assert SECRET not in message.body
    assert reply.reference in message.body


@pytest.mark.stack
async def test_a_heavy_file_becomes_a_link_and_a_light_one_goes_with_the_mail(
    site: Site, make_reply: MakeReply
) -> None:
    blobs = BlobStore(f"file://{site.notifier.folder / 'blobs'}")
    claim = await blobs.put(
        ContactId("0b8e1c5a-13d4-5f6a-8f10-6d2f6a7b9c01"), b"%PDF-1.7 " + b"x" * 5000, "application/pdf"
    )
    site.notifier.parts.limits = replace(site.notifier.parts.limits, largest_attachments_bytes=6000)
    async with site.notifier.running():
        for key, files in (("light", (claim,)), ("heavy", (claim, claim))):
            await site.notifier.take(make_reply(key, channel="email", points=(MAIL,), attachments=files))
        await site.notifier.until(lambda states: states == ["accepted", "accepted"])
    light, heavy = sorted((mail.content for mail in site.notifier.outside.mail.box.mails), key=len, reverse=True)
    assert b"application/pdf" in light
    assert b"application/pdf" not in heavy
    assert b"/inbox/" in heavy


def test_both_catalogues_have_the_same_keys() -> None:
    folder = Path(pages.__file__ or "").parents[1] / "words"
    fr, en = (yaml.safe_load((folder / f"{language}.yaml").read_text()) for language in ("fr", "en"))
    assert {part: set(words) for part, words in fr.items()} == {part: set(words) for part, words in en.items()}
