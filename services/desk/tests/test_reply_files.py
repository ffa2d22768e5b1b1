"""Tests that an agent's files are kept with the draft, screened, and leave with the answer, also after an undo."""

from collections.abc import Awaitable, Callable
from io import BytesIO

import httpx
import pytest
from PIL import Image
from services.desk.tests.test_pages import CASE, CONTACT, routed
from sqlalchemy import text

from parvis.common.contract.contact import ClaimCheck, ContactId, ScanVerdict
from parvis.common.contract.errors import Poison, Unavailable
from parvis.common.contract.reply import ReplyRequested
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.files.previews.page_preview import PagePreviews
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database
from parvis.desk.store.outgoing_files import OutgoingFiles

pytestmark = pytest.mark.asyncio(loop_scope="module")
Project = Callable[..., Awaitable[None]]
Published = Callable[[str], Awaitable[list[bytes]]]
OpenForm = Callable[..., Awaitable[dict[str, str]]]
ANSWER = {"text": "Voici le plan.", "channel": "email", "address-email": "c@citoyens.example", "then": "closed"}
SEND = ANSWER | {"do": "send"}
Files = list[tuple[str, tuple[str, bytes, str]]]


def picture(form: str = "PNG") -> bytes:
    out = BytesIO()
    Image.new("RGB", (40, 60), "white").save(out, form)
    return out.getvalue()


def files(*named: tuple[str, bytes]) -> Files:
    return [("files", (name, content, "application/octet-stream")) for name, content in named]


PLAN = ("plan.pdf", picture("PDF"))
NOTE = ("note.txt", b"Bonjour.\n")


async def post(
    browser: httpx.AsyncClient, open_form: OpenForm, action: str, fields: dict[str, str], sent: Files | None = None
) -> httpx.Response:
    form = await open_form(browser, CASE, f"{CASE}/{action}")
    return await browser.post(f"{CASE}/{action}", data=form | fields, files=sent or None)


async def requested(published: Published) -> list[ReplyRequested]:
    return [ReplyRequested.model_validate_json(value) for value in await published("reply.requested")]


@pytest.mark.parametrize("action", ["attach", "take", "draft"])
async def test_a_file_comes_with_any_button_and_leaves_with_the_answer(
    agent: httpx.AsyncClient,
    project: Project,
    open_form: OpenForm,
    published: Published,
    blobs: BlobStore,
    action: str,
) -> None:
    await project(routed(CONTACT))
    kept = await post(agent, open_form, action, ANSWER, files(("../..\\Plan\u202e du quartier.PDF", PLAN[1])))
    assert kept.status_code == 303
    page = (await agent.get(CASE)).text
    assert ">Plan du quartier.PDF</a>" in page
    assert "Voici le plan." in page

    assert (await post(agent, open_form, "reply", SEND)).status_code == 303
    (reply,) = await requested(published)
    assert reply.personal.file_names == ("Plan du quartier.PDF",)
    assert await blobs.get(reply.attachments[0]) == PLAN[1]
    assert reply.attachments[0].media_type == "application/pdf"
    timeline, answer = (await agent.get(CASE)).text.split('id="end"')
    assert ">Plan du quartier.PDF</a>" in timeline
    assert "Plan du quartier.PDF" not in answer
    link = timeline.split("/attachments/")[1].split('"')[0]
    assert (await agent.get(f"{CASE}/attachments/{link}")).content == PLAN[1]


async def test_a_file_chosen_beside_send_leaves_once_when_the_form_is_sent_twice(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, published: Published
) -> None:
    await project(routed(CONTACT))
    form = await open_form(agent, CASE, f"{CASE}/reply")
    for _ in range(2):
        answer = await agent.post(f"{CASE}/reply", data=form | SEND, files=files(PLAN, NOTE))
        assert answer.status_code == 303
    (reply,) = await requested(published)
    assert reply.personal.file_names == ("plan.pdf", "note.txt")
    assert "note.txt" not in (await agent.get(CASE)).text.split('id="end"')[1]

    other = await agent.post(f"{CASE}/reply", data=form | SEND, files=files(NOTE))
    assert other.status_code == 422
    assert len(await requested(published)) == 1


async def test_an_undo_gives_the_files_back_to_the_draft(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, published: Published
) -> None:
    await project(routed(CONTACT))
    await post(agent, open_form, "reply", SEND, files(PLAN))
    await post(agent, open_form, "withdraw", {})
    assert ">plan.pdf</a>" in (await agent.get(CASE)).text.split('id="end"')[1]
    assert not await published("reply.requested")

    await post(agent, open_form, "reply", SEND | {"file": await kept_id(agent)})
    (reply,) = await requested(published)
    assert reply.personal.file_names == ("plan.pdf",)


async def kept_id(browser: httpx.AsyncClient) -> str:
    return (await browser.get(CASE)).text.split('name="file" value="')[1].split('"')[0]


async def test_a_removed_file_is_deleted_and_does_not_leave(
    agent: httpx.AsyncClient, colleague: httpx.AsyncClient, project: Project, open_form: OpenForm, published: Published
) -> None:
    await project(routed(CONTACT))
    await post(agent, open_form, "attach", ANSWER, files(PLAN))
    file_id = await kept_id(agent)
    assert (await colleague.get(f"{CASE}/attachments/{file_id}")).status_code == 404
    theirs = await open_form(colleague, CASE, f"{CASE}/draft")
    await colleague.post(f"{CASE}/remove-file", data=theirs | {"remove": file_id})
    stale = await open_form(agent, CASE, f"{CASE}/reply")
    assert (await post(agent, open_form, "remove-file", {"remove": file_id})).status_code == 303
    assert (await agent.get(f"{CASE}/attachments/{file_id}")).status_code == 404

    answer = await agent.post(f"{CASE}/reply", data=stale | SEND)  # it shows the file still
    assert answer.status_code == 422
    assert "a été retiré" in answer.text
    assert not await published("reply.requested")


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ([("programme.pdf", b"MZ\x90\x00" + bytes(200))], "Ce genre de fichier"),
        ([("page.pdf", b"<!doctype html><script>x</script>")], "Ce genre de fichier"),
        ([("plan.pdf", b"%PDF-1.7\n" + bytes(200))], "ne s’ouvre pas"),
        ([("vide.pdf", b"")], "est vide"),
        ([("gros.txt", b"x" * 10_000_001)], "10 Mo au plus"),
        ([(f"{n}.txt", b"x" * 7_000_000) for n in range(3)], "20 Mo en tout"),
        ([(f"{n}.txt", b"%d" % n) for n in range(10)], ""),
    ],
)
async def test_what_may_not_leave_is_refused_with_its_reason_and_keeps_the_text(
    agent: httpx.AsyncClient,
    project: Project,
    open_form: OpenForm,
    published: Published,
    chosen: list[tuple[str, bytes]],
    says: str,
) -> None:
    await project(routed(CONTACT))
    answer = await post(agent, open_form, "reply", SEND, files(*chosen))
    if not says:
        more = await post(agent, open_form, "attach", ANSWER, files(*chosen))
        assert more.status_code == 303
        answer = await post(agent, open_form, "reply", SEND, files(("11.txt", b"11")))
        says = "10 fichiers au plus"
    else:
        assert not await published("reply.requested")
    assert answer.status_code == 422
    assert says in answer.text
    assert 'href="#f-files"' in answer.text
    assert "Voici le plan.</textarea>" in answer.text


async def test_a_letter_takes_only_what_can_be_printed(
    agent: httpx.AsyncClient, project: Project, open_form: OpenForm, published: Published
) -> None:
    await project(routed(CONTACT))
    by_post = SEND | {"channel": "post", "address-post": "Camille Exemple\n1 rue Fictive\n99999 VAL-EXEMPLE"}
    answer = await post(agent, open_form, "reply", by_post, files(NOTE))
    assert answer.status_code == 422
    assert "seulement des PDF et des images" in answer.text
    await post(agent, open_form, "remove-file", {"remove": await kept_id(agent)})
    assert (await post(agent, open_form, "reply", by_post, files(PLAN))).status_code == 303
    assert len(await requested(published)) == 1


async def test_a_file_without_a_verdict_waits_and_one_with_malware_never_leaves(
    agent: httpx.AsyncClient,
    project: Project,
    open_form: OpenForm,
    published: Published,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await project(routed(CONTACT))
    verdict: ScanVerdict = "pending"

    async def scan(*_: object, **__: object) -> ScanVerdict:
        return verdict

    monkeypatch.setattr(AntivirusScanner, "scan", scan)
    answer = await post(agent, open_form, "reply", SEND, files(PLAN))
    assert (answer.status_code, "n’a pas encore examiné" in answer.text) == (422, True)
    verdict = "infected"
    answer = await post(agent, open_form, "reply", SEND)
    assert (answer.status_code, "programme malveillant" in answer.text) == (422, True)
    assert not await published("reply.requested")
    verdict = "clean"
    assert (await post(agent, open_form, "reply", SEND)).status_code == 303
    (reply,) = await requested(published)
    assert [claim.scan for claim in reply.attachments] == ["clean"]


async def test_an_old_file_that_cannot_be_deleted_is_tried_again_and_stops_no_other(
    agent: httpx.AsyncClient,
    project: Project,
    open_form: OpenForm,
    database: Database,
    blobs: BlobStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await project(routed(CONTACT))
    await post(agent, open_form, "attach", ANSWER, files(PLAN, NOTE))
    async with database.transaction() as connection:
        await connection.execute(text("update desk.draft_file set added_at = now() - interval '31 days'"))
        stored = dict((await connection.execute(text("select file_id, file from desk.draft_file"))).all())
    stuck, *others = [str(file_id) for file_id in stored]
    delete_all = BlobStore.delete_all

    async def fail_once(store: BlobStore, contact: ContactId) -> None:
        if contact == stuck:
            raise Unavailable("the blob store does not answer")
        await delete_all(store, contact)

    scanner, previews = AntivirusScanner(""), PagePreviews()
    with monkeypatch.context() as outage:
        outage.setattr(BlobStore, "delete_all", fail_once)
        await OutgoingFiles(database, blobs, scanner, previews).purge()
    async with database.transaction() as connection:
        left = [str(file_id) for file_id in await connection.scalars(text("select file_id from desk.draft_file"))]
    assert left == [stuck]
    await OutgoingFiles(database, blobs, scanner, previews).purge()
    for file_id in (stuck, *others):
        claim = next(file["claim"] for known, file in stored.items() if str(known) == file_id)
        with pytest.raises(Poison):
            await blobs.get(ClaimCheck.model_validate(claim))
