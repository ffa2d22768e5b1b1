"""Facts about batches: each letter between separator sheets is a contact of its own."""

import asyncio
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from PIL import Image

from parvis.common.contract.contact import ContactReceived, make_contact_id
from parvis.common.contract.errors import Poison, Unavailable
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.testing import A_KEY, FakeProducer
from parvis.ingest_postal.models.scan import MediaType
from parvis.ingest_postal.parse.receipt_date import ScanArrival
from parvis.ingest_postal.receive.scan_intake import ScanIntake, sha256_of
from parvis.ingest_postal.render.separator_sheets import render_sheets
from parvis.local.clamav import A_VIRUS, PROGRAM, clamd
from parvis.local.letter import BIRTH_CERTIFICATE, SampleLetter, write_pdf

pytestmark = pytest.mark.asyncio(loop_scope="module")
FIRST_SEEN = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)  # as the fixtures have it
MakeAcceptance = Callable[..., ScanIntake]
SEPARATOR = render_sheets("letter", count=1)
STAMP = render_sheets("batch", count=1, received=date(2026, 2, 27), key=A_KEY)
ARRIVAL = ScanArrival(FIRST_SEEN)


def a_letter(subject: str, *, pages: int = 1) -> bytes:
    letter: SampleLetter = replace(BIRTH_CERTIFICATE, subject=subject)
    return joined(*[write_pdf(letter)] * pages)


def joined(*files: bytes) -> bytes:
    """As one file, in their order; an empty one is a blank page."""
    batch: Any = pypdfium2.PdfDocument.new()
    for content in files:
        if content:
            batch.import_pages(pypdfium2.PdfDocument(content))
        else:
            batch.new_page(595, 842)
    file = io.BytesIO()
    batch.save(file)
    return file.getvalue()


def scanned(content: bytes, *, dpi: int = 150, angle: float = 0.0, turn: int = 0, mode: str = "L") -> bytes:
    """The same pages as a scanner gives them: a TIFF."""
    document: Any = pypdfium2.PdfDocument(content)
    sheets = [page.render(scale=dpi / 72).to_pil().convert("L") for page in document]
    sheets = [sheet.rotate(angle, fillcolor=255).rotate(turn, expand=True).convert(mode) for sheet in sheets]
    file = io.BytesIO()
    compression = "group4" if mode == "1" else "tiff_lzw"
    sheets[0].save(file, "TIFF", save_all=True, append_images=sheets[1:], dpi=(dpi, dpi), compression=compression)
    return file.getvalue()


BLANK = b""
THREE = joined(SEPARATOR, a_letter("première"), SEPARATOR, BLANK, SEPARATOR, a_letter("deuxième", pages=2), SEPARATOR, BLANK, a_letter("troisième"), SEPARATOR)  # fmt: skip


@pytest.fixture
def producer() -> FakeProducer:
    return FakeProducer()


@pytest.fixture
def scan_intake(make_scan_intake: MakeAcceptance, tmp_path: Path, producer: FakeProducer) -> ScanIntake:
    return make_scan_intake(tmp_path, producer)


async def accepted(
    scan_intake: ScanIntake, content: bytes, media_type: MediaType = "application/pdf", arrival: ScanArrival = ARRIVAL
) -> list[ContactReceived]:
    return [contact async for contact in scan_intake.accept(content, media_type, arrival, digest=sha256_of(content))]


def subjects(contacts: list[ContactReceived]) -> list[str]:
    return [contact.personal.subject for contact in contacts]


async def test_each_letter_between_sheets_is_a_contact_of_its_own_pages(scan_intake: ScanIntake):
    contacts = await accepted(scan_intake, THREE)

    assert subjects(contacts) == ["première", "deuxième", "troisième"]
    assert [len(contact.attachments) for contact in contacts] == [1, 2, 1]
    assert [contact.remarks for contact in contacts] == [(f"separated-letter:{number}",) for number in (1, 2, 3)]
    digest = hashlib.sha256(THREE).hexdigest()
    assert [contact.contact_id for contact in contacts] == [make_contact_id("post", "mail-room", f"{digest}/{n}") for n in (1, 2, 3)]  # fmt: skip
    for contact, pages in zip(contacts, (1, 2, 1), strict=True):
        own: Any = pypdfium2.PdfDocument(await scan_intake.blobs.get(contact.original))
        assert len(own) == pages
    assert not any("RETIRER" in contact.personal.text for contact in contacts)


async def test_the_batch_itself_is_stored_first(scan_intake: ScanIntake, producer: FakeProducer, tmp_path: Path):
    producer.broken = Unavailable("Kafka does not answer")
    with pytest.raises(Unavailable):
        await accepted(scan_intake, THREE)

    digest = hashlib.sha256(THREE).hexdigest()
    assert (tmp_path / "blobs" / make_contact_id("post", "mail-room", digest) / digest).read_bytes() == THREE


async def test_a_file_without_sheets_is_one_letter_with_the_files_own_id(scan_intake: ScanIntake):
    content = a_letter("seule", pages=2)

    (contact,) = await accepted(scan_intake, content)

    assert contact.contact_id == make_contact_id("post", "mail-room", hashlib.sha256(content).hexdigest())
    assert (contact.remarks, len(contact.attachments)) == ((), 2)


async def test_an_interrupted_batch_gives_the_same_letters_again(scan_intake: ScanIntake, producer: FakeProducer):
    first = anext(aiter(scan_intake.accept(THREE, "application/pdf", ARRIVAL, digest=sha256_of(THREE))))
    begun = await first
    contacts = await accepted(scan_intake, THREE)

    assert begun.contact_id == contacts[0].contact_id
    assert len({ContactReceived.model_validate_json(record.value).contact_id for record in producer.sent}) == 3


async def test_two_batches_at_once_are_independent(scan_intake: ScanIntake):
    other = joined(SEPARATOR, a_letter("autre"), SEPARATOR, a_letter("encore une"))

    both = await asyncio.gather(accepted(scan_intake, THREE), accepted(scan_intake, other))

    assert [subjects(contacts) for contacts in both] == [["première", "deuxième", "troisième"], ["autre", "encore une"]]


@pytest.mark.parametrize(("angle", "turn", "mode"), [(1.5, 0, "L"), (0, 90, "1"), (-1, 180, "L"), (0, 270, "L")])
async def test_sheets_are_recognised_in_any_orientation(scan_intake: ScanIntake, angle: float, turn: int, mode: str):
    batch = scanned(joined(SEPARATOR, a_letter("une"), SEPARATOR, a_letter("deux")), angle=angle, turn=turn, mode=mode)

    contacts = await accepted(scan_intake, batch, "image/tiff")

    assert len(contacts) == 2
    for contact in contacts:
        own = Image.open(io.BytesIO(await scan_intake.blobs.get(contact.original)))
        assert (own.n_frames, own.mode) == (1, mode)  # pyright: ignore[reportAttributeAccessIssue] (TIFF pages)


@pytest.mark.parametrize("content", [joined(SEPARATOR), joined(SEPARATOR, SEPARATOR), joined(SEPARATOR, BLANK)])
async def test_sheets_alone_are_not_a_letter(scan_intake: ScanIntake, content: bytes):
    with pytest.raises(Poison, match="no letter"):
        await accepted(scan_intake, content)


async def test_too_many_letters_go_to_an_agent_undivided(
    make_scan_intake: MakeAcceptance, tmp_path: Path, producer: FakeProducer
):
    scan_intake = make_scan_intake(tmp_path, producer, letters=2)
    (contact,) = await accepted(scan_intake, THREE)

    assert contact.unreadable == "more than 2 letters in one file, not separated"
    assert await scan_intake.blobs.get(contact.original) == THREE
    assert len(contact.attachments) == 9  # without the blank ones


async def test_the_cover_sheet_gives_the_receipt_date_of_its_letters(scan_intake: ScanIntake):
    batch = joined(a_letter("avant"), STAMP, a_letter("une"), SEPARATOR, a_letter("deux"))

    contacts = await accepted(scan_intake, batch)

    noon = datetime(2026, 2, 27, 11, 0, tzinfo=UTC)
    assert [contact.received_at for contact in contacts] == [FIRST_SEEN, noon, noon]
    assert not any("stamp-doubtful" in contact.remarks for contact in contacts)


@pytest.mark.parametrize(
    "stamp",
    [
        render_sheets("batch", count=1, received=date(2026, 2, 27), key=b"another town's key"),
        render_sheets("batch", count=1, received=date(2026, 3, 3), key=A_KEY),
        render_sheets("batch", count=1, received=date(2025, 2, 27), key=A_KEY),
    ],
    ids=["forged", "of tomorrow", "a year old"],
)
async def test_an_impossible_stamp_is_remarked_and_not_used(scan_intake: ScanIntake, stamp: bytes):
    (contact,) = await accepted(scan_intake, joined(stamp, a_letter("une")))

    assert contact.received_at == FIRST_SEEN
    assert contact.remarks == ("separated-letter:1", "stamp-doubtful")


async def test_a_forged_stamp_between_a_letters_pages_dates_nobody_elses_letter(scan_intake: ScanIntake):
    forged = render_sheets("batch", count=1, received=date(2026, 2, 20), key=b"another town's key")

    contacts = await accepted(scan_intake, joined(STAMP, a_letter("une"), forged, a_letter("deux")))

    noon = datetime(2026, 2, 27, 11, 0, tzinfo=UTC)
    assert [contact.received_at for contact in contacts] == [noon, noon]


@pytest.mark.parametrize(
    ("note", "received", "remarks"),
    [
        ({"received_at": "2026-02-27"}, datetime(2026, 2, 27, 11, 0, tzinfo=UTC), ()),
        ({"received_at": "2026-02-27T16:45:00+01:00"}, datetime(2026, 2, 27, 15, 45, tzinfo=UTC), ()),
        ({"received_at": FIRST_SEEN.date().isoformat()}, FIRST_SEEN, ()),
        ({"received_at": "2026-02-27T16:45:00"}, FIRST_SEEN, ("stamp-doubtful",)),
        ({"received_at": "2027-02-27"}, FIRST_SEEN, ("stamp-doubtful",)),
        ({"received_at": 20260227}, FIRST_SEEN, ("stamp-doubtful",)),
        ([], FIRST_SEEN, ("stamp-doubtful",)),
    ],
)
async def test_a_note_beside_the_scan_says_when_it_was_received(
    scan_intake: ScanIntake, note: object, received: datetime, remarks: tuple[str, ...]
):
    arrival = ScanArrival(FIRST_SEEN, json.dumps(note).encode())

    (contact,) = await accepted(scan_intake, a_letter("une"), arrival=arrival)

    assert (contact.received_at, contact.remarks) == (received, remarks)


@pytest.mark.skipif(not PROGRAM, reason="clamd is not installed: make system")
async def test_a_scan_with_a_virus_is_accepted_and_says_so(scan_intake: ScanIntake):
    with clamd() as daemon:
        scan_intake.scanner = AntivirusScanner(daemon.address)
        (clean,) = await accepted(scan_intake, a_letter("saine"))
        (infected,) = await accepted(scan_intake, a_letter("malade") + b"%" + A_VIRUS + b"\n%%EOF\n")
        batch = joined(SEPARATOR, a_letter("une"), SEPARATOR, a_letter("deux")) + b"%" + A_VIRUS + b"\n%%EOF\n"
        divided = await accepted(scan_intake, batch)
        daemon.stop()
        (later,) = await accepted(scan_intake, a_letter("plus tard"))

    assert (clean.original.scan, clean.attachments[0].scan) == ("clean", "clean")
    assert (infected.original.scan, infected.attachments[0].scan) == ("infected", "clean")
    assert [contact.original.scan for contact in divided] == ["infected", "infected"]
    assert later.original.scan == "pending"
