"""Facts about the files of a reply: on its inbox page, and in its mail."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import pytest
from services.notifier.tests.parts import MakeReply, Notifier
from services.notifier.tests.site import MAIL, SECRET, Site, site_of, stored_reply
from structlog.testing import capture_logs

from parvis.common.contract.contact import ClaimCheck, ContactId, ScanVerdict
from parvis.common.contract.errors import Unavailable
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.storage.blobs import BlobStore
from parvis.notifier.app.parts import Clients


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
    assert [line["reply_id"] for line in logs if line["event"] == "blob.missing"] == [
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
