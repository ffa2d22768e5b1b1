"""Tests the download of originals: nothing before its antivirus scan, and pictures only re-encoded."""

import io
import itertools
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import httpx
import pytest
from PIL import Image

from parvis.common.contract.contact import (
    Attachment,
    ClaimCheck,
    ContactId,
    ContactPersonalData,
    OcrQuality,
    Verification,
    make_contact_id,
)
from parvis.common.contract.routing.decisions import ContactRouted, Routing, make_conversation_id
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.storage.blobs import BlobStore
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.desk.fetch.claim_checks import ClaimCheckFetcher, InfectedFile, UnscannedFile
from parvis.local.clamav import A_VIRUS, PROGRAM, ClamavDaemon, clamd

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]


def a_photo() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 12.0, 34.0)})
    out = io.BytesIO()
    Image.new("RGB", (4000, 300), "white").save(out, "JPEG", exif=exif)
    return out.getvalue()


def routed(made: ContactId, **changes: Any) -> ContactRouted:
    contact = a_contact(contact_id=made, **changes)
    routing = Routing(
        conversation_id=make_conversation_id(made, AN_INSTANT),
        sequence=1,
        department="voirie",
        reference=contact.reference,
        rule="pothole",
        rules_version="v",
        confidence=1,
        reason={},
        received_at=AN_INSTANT,
        answer_due_at=AN_INSTANT,
        decided_at=AN_INSTANT,
    )
    return ContactRouted(routing=routing, contact=contact)


def base(made: ContactId) -> str:
    return f"/cases/{make_conversation_id(made, AN_INSTANT)}/contacts/{made}"


def case(made: ContactId) -> str:
    return f"/cases/{make_conversation_id(made, AN_INSTANT)}"


async def test_files_are_downloads_under_clean_names(
    agent: httpx.AsyncClient, project: Project, blobs: BlobStore
) -> None:
    made = make_contact_id("web", "x", "files")
    page = b"<html><script>alert(1)</script>"
    claim = await blobs.put(made, page, "text/html")
    infected = claim.model_copy(update={"scan": "infected"})
    personal = ContactPersonalData(text="Voici.", file_names=('../a"\r\nX: \u202ey.html', "virus.html"))
    await project(
        routed(
            made,
            original=claim,
            attachments=(Attachment.from_claim_check(claim), Attachment.from_claim_check(infected)),
            personal=personal,
        )
    )

    file = await agent.get(f"{base(made)}/files/0")
    assert file.content == page
    assert file.headers["content-disposition"] == "attachment; filename*=UTF-8''a-%20X-%20y.html"
    assert file.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in file.headers["content-security-policy"]
    assert (await agent.get(f"{base(made)}/pictures/0/1.jpg")).status_code == 404
    for strange in ("files/9", "files/-1", "files/x", "files/9/untouched", "pictures/0/7.jpg", "pictures/0/x.jpg"):
        assert (await agent.get(f"{base(made)}/{strange}")).status_code == 404
    refused = await agent.get(f"{base(made)}/files/1")
    assert refused.status_code == 403
    assert "Ce fichier est infecté" in refused.text
    shown = (await agent.get(case(made))).text
    assert "fichier infecté, bloqué" in shown
    assert 'files/1"' not in shown
    assert "sans analyse antivirus" in shown


async def test_a_picture_is_served_re_encoded(agent: httpx.AsyncClient, project: Project, blobs: BlobStore) -> None:
    made = make_contact_id("web", "x", "photo")
    claim = await blobs.put(made, a_photo(), "image/jpeg")
    await project(
        routed(
            made,
            original=claim,
            attachments=(Attachment.from_claim_check(claim),),
            personal=ContactPersonalData(file_names=("trou é.jpeg",)),
        )
    )

    shown = (await agent.get(case(made))).text
    drawn = await agent.get(f"{base(made)}/pictures/0/1.jpg")
    given = await agent.get(f"{base(made)}/files/0")
    untouched = await agent.get(f"{base(made)}/files/0/untouched")

    assert "fichier d’origine" in shown
    assert [Image.open(io.BytesIO(picture.content)).size[0] for picture in (drawn, given)] == [1240, 3000]
    assert given.headers["content-disposition"].endswith("trou%20%C3%A9.jpg")
    for picture in (drawn, given):
        assert not Image.open(io.BytesIO(picture.content)).getexif()
        assert b"taken at home" not in picture.content
    assert untouched.content == a_photo()
    assert untouched.headers["content-disposition"].startswith("attachment")


async def test_an_ambiguous_mail_shows_no_pictures(
    agent: httpx.AsyncClient, project: Project, blobs: BlobStore
) -> None:
    made = make_contact_id("email", "x", "ambiguous")
    claim = Attachment.from_claim_check(await blobs.put(made, a_photo(), "image/jpeg"))
    await project(routed(made, channel="email", attachments=(claim,), remarks=("ambiguous-mime",)))
    shown = (await agent.get(case(made))).text

    assert 'class="photo"' not in shown
    assert "files/0/untouched" in shown


async def test_a_mail_shows_its_own_text_and_folds_the_quoted_text(agent: httpx.AsyncClient, project: Project) -> None:
    made = make_contact_id("email", "x", "quoted")
    personal = ContactPersonalData(text="Merci !", quoted="> Bonjour <b>\n> Madame", signature="-- \nCamille")
    sender = Verification(level="none", spf="pass", dkim="none", dmarc="fail")
    await project(
        routed(made, channel="email", personal=personal, sender=sender, remarks=("remote-images:3", "calendar", "unheard-of:2"))
    )  # fmt: skip
    shown = (await agent.get(case(made))).text

    for words in (
        "Texte cité ou transféré (2 lignes)</summary>",
        "&gt; Bonjour &lt;b&gt;",
        "Signature</summary>",
        "Expéditeur non vérifié",
        "SPF pass, DKIM none, DMARC fail",
        "Le message renvoyait à 3 images sur internet.",
        "invitation d’agenda",
        "unheard-of:2",
    ):
        assert words in shown
    assert "<details open" not in shown


async def test_text_that_is_only_forwarded_is_unfolded(agent: httpx.AsyncClient, project: Project) -> None:
    made = make_contact_id("email", "x", "forwarded")
    await project(routed(made, channel="email", personal=ContactPersonalData(quoted="Voyez plus bas.")))
    shown = (await agent.get(case(made))).text

    assert "<details open><summary>Texte cité" in shown
    assert "(aucun texte)" not in shown


async def test_low_confidence_pages_and_troubles_are_named(
    agent: httpx.AsyncClient, project: Project, blobs: BlobStore
) -> None:
    made = make_contact_id("post", "x", "low")
    claim = await blobs.put(made, a_photo(), "image/jpeg")
    letter = routed(
        made,
        channel="post",
        original=claim,
        attachments=(Attachment.from_claim_check(claim), Attachment.from_claim_check(claim)),
        unreadable="reading took longer than 120 s",
        ocr=OcrQuality(confidence=0.7, pages=2, page_confidences=(0.9, 0.5), low_pages=(3,)),
        personal=ContactPersonalData(text="Madame,", file_names=("page-1.jpg", "page-3.jpg")),
    )
    mail = make_contact_id("email", "x", "zip")
    archive = Attachment.from_claim_check(
        claim.model_copy(update={"media_type": "application/zip"}), trouble="archive of more than 1000 files"
    )
    await project(letter, routed(mail, channel="email", attachments=(archive,)))
    shown = (await agent.get(case(made))).text

    assert "Page 3</span> La lecture automatique est peu fiable" in shown
    assert shown.count("peu fiable") == 1
    assert "la lecture a pris plus de 120 s" in shown
    assert "archive de plus de 1000 fichiers" in (await agent.get(case(mail))).text


@pytest.fixture(scope="module")
def daemon() -> Generator[ClamavDaemon]:
    if not PROGRAM:
        pytest.skip("clamd is not installed: make system")
    with clamd() as running:
        yield running


def pending(claim: ClaimCheck) -> ClaimCheck:
    return claim.model_copy(update={"scan": "pending"})


async def test_a_pending_file_is_scanned_when_it_is_opened(blobs: BlobStore, daemon: ClamavDaemon) -> None:
    made = make_contact_id("web", "x", "scan")
    clean = pending(await blobs.put(made, b"Bonjour", "text/plain"))
    infected = pending(await blobs.put(made, A_VIRUS, "text/plain"))
    fetcher = ClaimCheckFetcher(blobs, AntivirusScanner(daemon.address))

    assert await fetcher.fetch(clean) == b"Bonjour"
    with pytest.raises(InfectedFile):
        await fetcher.fetch(infected)
    daemon.stop()
    try:
        assert await fetcher.fetch(clean) == b"Bonjour"
        with pytest.raises(InfectedFile):
            await fetcher.fetch(infected)
        with pytest.raises(UnscannedFile):
            await fetcher.fetch(pending(await blobs.put(made, b"Bonsoir", "text/plain")))
    finally:
        daemon.start()
    assert (fetcher.scan_verdict(clean), fetcher.scan_verdict(infected)) == ("clean", "infected")


async def test_a_file_that_cannot_be_scanned_now_has_a_page_that_says_so(
    agent: httpx.AsyncClient, project: Project, blobs: BlobStore
) -> None:
    made = make_contact_id("web", "x", "waiting")
    claim = pending(await blobs.put(made, a_photo(), "image/jpeg"))
    await project(routed(made, original=claim, attachments=(Attachment.from_claim_check(claim),)))

    shown = (await agent.get(case(made))).text
    assert "analyse antivirus en attente" in shown
    for path in ("files/0", "files/0/untouched", "files/original", "pictures/0/1.jpg"):
        refused = await agent.get(f"{base(made)}/{path}")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
        assert "Réessayez dans une minute" in refused.text


async def test_a_pending_file_is_scanned_again_each_time_until_the_scanner_answers(
    blobs: BlobStore, daemon: ClamavDaemon
) -> None:
    made = make_contact_id("web", "x", "scan later")
    claim = pending(await blobs.put(made, b"Plus tard", "text/plain"))
    minutes = itertools.count()  # the scanner is tried again only after some seconds
    fetcher = ClaimCheckFetcher(blobs, AntivirusScanner(daemon.address, clock=lambda: next(minutes) * 60.0))
    daemon.stop()
    try:
        for _ in range(2):
            with pytest.raises(UnscannedFile):
                await fetcher.fetch(claim)
    finally:
        daemon.start()

    assert fetcher.scan_verdict(claim) == "pending"
    assert await fetcher.fetch(claim) == b"Plus tard"
    assert fetcher.scan_verdict(claim) == "clean"


@pytest.mark.parametrize("damage", ["missing", "changed"])
async def test_a_missing_file_has_a_page_that_says_so(
    agent: httpx.AsyncClient, project: Project, blobs: BlobStore, damage: str
) -> None:
    made = make_contact_id("web", "x", damage)
    sound = await blobs.put(made, b"Bonjour", "text/plain")
    changes = {"sha256": "0" * 64} if damage == "changed" else {"blob": f"{made}/{'0' * 64}"}
    lost = Attachment.from_claim_check(sound.model_copy(update=changes))
    await project(routed(made, original=sound, attachments=(lost,)))

    for path in ("files/0", "files/0/untouched"):
        page = await agent.get(f"{base(made)}/{path}")
        assert page.status_code == 404
        assert "Ce fichier est introuvable" in page.text
        assert "This file cannot be found" in (await agent.get(f"{base(made)}/{path}?lang=en")).text
        await agent.get("/queue?lang=fr")
    assert (await agent.get(f"{base(made)}/files/original")).content == b"Bonjour"
    assert (await agent.get(case(made))).status_code == 200
