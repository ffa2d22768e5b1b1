"""Facts about reading with the real Tesseract and PDFium, also of hostile files."""

import asyncio
import os
import struct
import sys
import zlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from typing import Any

import psutil
import pytest
import pytest_asyncio
from PIL import Image

from parvis.common.contract.errors import Unavailable
from parvis.ingest_postal.models.scan import MediaType, ReadingLimits, ScanReading
from parvis.ingest_postal.parse.letter_to_contact import join_text
from parvis.ingest_postal.sandbox.scan_reader_pool import ScanReaderPool
from parvis.local.letter import BIRTH_CERTIFICATE, SampleLetter, ScanFormat, make_scan, write_pdf

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one warm reader for all, as in the service
SHORT = replace(BIRTH_CERTIFICATE, body=("Madame, Monsieur,", "Où en est ma demande ?"))
MEDIA_TYPES: dict[ScanFormat, MediaType] = {
    "pdf": "application/pdf",
    "tiff": "image/tiff",
    "png": "image/png",
    "jpeg": "image/jpeg",
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def reader() -> AsyncGenerator[ScanReaderPool]:
    pool = ScanReaderPool(1, ReadingLimits())
    yield pool
    await pool.close()


def truth(letter: SampleLetter) -> str:
    lines = (
        *letter.sender,
        *letter.addressee,
        letter.date,
        f"Objet : {letter.subject}",
        *letter.body,
        letter.signature,
    )
    return " ".join(lines)


def character_errors(read: str, true: str) -> float:
    """Edit distance over length; typewriters have one apostrophe, and a line's end is a space."""
    left, right = (" ".join(text.replace("’", "'").split()) for text in (read, true))
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1] / len(right)


@pytest.mark.parametrize("kind", MEDIA_TYPES)
async def test_a_scanned_letter_is_read_in_every_format(reader: ScanReaderPool, kind: ScanFormat):
    reading = await reader.read(make_scan(SHORT, scan_format=kind), MEDIA_TYPES[kind])

    assert reading.trouble is None
    assert character_errors(join_text(reading), truth(SHORT)) <= 0.005
    assert [page.source for page in reading.pages] == ["reading"]


async def test_a_crooked_and_grainy_letter_is_read(reader: ScanReaderPool):
    reading = await reader.read(make_scan(BIRTH_CERTIFICATE, angle=1.5, noise=40), "application/pdf")

    assert character_errors(join_text(reading), truth(BIRTH_CERTIFICATE)) <= 0.01
    assert reading.pages[0].confidence > 0.8


async def test_a_file_with_its_own_text_is_not_read_from_its_picture(reader: ScanReaderPool):
    reading = await reader.read(write_pdf(BIRTH_CERTIFICATE), "application/pdf")

    assert character_errors(join_text(reading), truth(BIRTH_CERTIFICATE)) == 0
    assert [page.source for page in reading.pages] == ["layer"]
    assert len(reading.previews) == 1


async def test_every_page_has_a_picture_of_a_screens_size_without_metadata(reader: ScanReaderPool):
    reading = await reader.read(make_scan(SHORT, scan_format="tiff", pages=2), "image/tiff")

    assert [picture.number for picture in reading.previews] == [1, 2]
    for picture in reading.previews:
        image = Image.open(BytesIO(picture.content))
        assert image.format == "JPEG"
        assert max(image.size) <= 1754
        assert not image.getexif()


async def test_a_blank_back_is_reported_without_a_picture(reader: ScanReaderPool):
    front = Image.open(BytesIO(make_scan(SHORT, dpi=150, scan_format="png")))
    file = BytesIO()
    front.save(file, "TIFF", save_all=True, append_images=[Image.new("L", front.size, 250)], compression="tiff_lzw")

    reading = await reader.read(file.getvalue(), "image/tiff")

    assert reading.trouble is None
    assert reading.blank_pages == (2,)
    assert [picture.number for picture in reading.previews] == [1]


async def test_a_letter_of_blank_pages_is_shown(reader: ScanReaderPool):
    file = BytesIO()
    Image.new("L", (1654, 2339), 255).save(file, "PNG")

    reading = await reader.read(file.getvalue(), "image/png")

    assert reading.blank_pages == (1,)
    assert len(reading.previews) == 1


async def test_english_is_used_when_french_gives_a_poor_result(reader: ScanReaderPool):
    english = SampleLetter(
        (), (), "", "", ("Though the weather threw thick fog, we thought through things thoroughly.",) * 4, ""
    )
    page = (await reader.read(make_scan(english), "application/pdf")).pages[0]

    assert page.confidence > 0.75
    assert "thoroughly" in " ".join(word.text for word in page.words)


def a_pdf(trailer: bytes) -> bytes:
    """The smallest PDF with one empty page, and whatever is to stand in its trailer."""
    bodies = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>",
    )
    content, offsets = b"%PDF-1.4\n", list[int]()
    for number, body in enumerate(bodies, 1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(content)
    return (
        content
        + b"xref\n0 4\n0000000000 65535 f \n%strailer\n<</Size 4/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n"
        % (
            table,
            trailer,
            start,
        )
    )


LOCKED = (
    b"/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<" + b"41" * 32 + b">/U<" + b"42" * 32 + b">>>"
)  # fmt: skip


def a_png(width: int, height: int) -> bytes:
    """A PNG of one colour: a few bytes that unpack into width times height dots."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(b"\0" * (width // 8 + 1)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "media_type", "trouble"),
    [
        (a_pdf(LOCKED), "application/pdf", "encrypted PDF"),
        (b"%PDF-1.7\nBonjour\n%%EOF\n", "application/pdf", "damaged PDF"),
        (write_pdf(SHORT)[:3000] + b"\n%%EOF\n", "application/pdf", "damaged PDF"),
        (a_png(30_000, 30_000), "image/png", "picture of more than 50 million dots"),
        (a_png(100, 100)[:-30] + b"\0" * 30, "image/png", "damaged picture"),
        (make_scan(SHORT, dpi=60, scan_format="jpeg")[:200] + b"\xff\xd9", "image/jpeg", "damaged picture"),
        (b"II*\0\x08\0\0\0\0\0\0\0\0\0", "image/tiff", "damaged picture"),
        (b"", "application/pdf", "damaged PDF"),
    ],
    ids=["encrypted", "no-pdf", "half-a-pdf", "bomb", "broken-png", "broken-jpeg", "empty-tiff", "nothing"],
)
async def test_a_file_that_does_not_open_has_a_reason_and_stops_no_other(
    reader: ScanReaderPool, content: bytes, media_type: MediaType, trouble: str
):
    reading = await reader.read(content, media_type)
    workers = set(reader.pids)

    assert (reading.trouble or "").startswith(trouble)
    assert (await reader.read(a_pdf(b""), "application/pdf")).trouble is None
    assert reader.pids == workers


async def test_a_damaged_page_stops_no_other(reader: ScanReaderPool):
    whole = make_scan(SHORT, dpi=100, scan_format="tiff", pages=2)
    image = Image.open(BytesIO(whole))
    image.seek(1)
    strips: Sequence[int] = image.tag_v2[273]  # type: ignore[attr-defined]
    broken = bytearray(whole)
    broken[strips[0] : strips[0] + 2000] = b"\xff" * 2000

    reading = await reader.read(bytes(broken), "image/tiff")

    assert [page.number for page in reading.pages] == [1]
    assert reading.trouble == "damaged picture: page 2 does not open"


async def test_the_page_limit_applies():
    reader = ScanReaderPool(1, ReadingLimits(pages=2))
    reading = await reader.read(make_scan(SHORT, dpi=60, pages=4), "application/pdf")
    await reader.close()

    assert [page.is_read for page in reading.pages] == [True, True, False, False]
    assert len(reading.previews) == 2
    assert reading.trouble == "4 pages: only the first 2 were read"


async def test_a_reading_over_its_time_limit_keeps_the_pages_read():
    reader = ScanReaderPool(1, ReadingLimits(wall_s=1.5))
    await reader.open()
    reading = await reader.read(make_scan(BIRTH_CERTIFICATE, pages=20), "application/pdf")
    await reader.close()

    assert reading.trouble == "reading took longer than 1.5 s"
    assert reading.page_count == 20


async def test_a_worker_that_is_killed_is_replaced_and_its_letter_read(reader: ScanReaderPool):
    await reader.read(a_pdf(b""), "application/pdf")
    (worker,) = reader.pids
    reading = asyncio.create_task(reader.read(make_scan(SHORT, pages=5), "application/pdf"))
    await asyncio.sleep(0)  # the task has asked its question
    os.kill(worker, 9)

    assert [page.is_read for page in (await reading).pages] == [True] * 5
    assert reader.pids != {worker}


async def test_a_letter_that_kills_its_worker_keeps_its_read_pages_and_stops_no_other():
    """As the kernel does to a process that wants more memory than there is."""
    readers = ScanReaderPool(2, ReadingLimits())
    await readers.read(a_pdf(b""), "application/pdf")
    deadly = asyncio.create_task(readers.read(make_scan(BIRTH_CERTIFICATE, pages=20), "application/pdf"))
    killer = asyncio.create_task(_kill_the_busy(readers, deadly))
    others = [await readers.read(write_pdf(SHORT), "application/pdf") for _ in range(3)]

    assert (await deadly).trouble == "the reading worker stopped (SIGKILL)"
    assert [reading.trouble for reading in others] == [None] * 3
    await killer
    await readers.close()


async def _kill_the_busy(readers: ScanReaderPool, deadly: "asyncio.Task[ScanReading]") -> None:
    """Whoever has used two seconds of processor time is reading the deadly letter."""
    while not deadly.done():
        for pid in set(readers.pids):
            with suppress(psutil.NoSuchProcess):
                if psutil.Process(pid).cpu_times().user > 2:
                    os.kill(pid, 9)
        await asyncio.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits address space and shows a process's environment")
class TestConfinement:
    async def test_memory_is_limited(self):
        reader = ScanReaderPool(1, ReadingLimits(memory_bytes=300 * 1024 * 1024, pixels=500_000_000))
        reading = await reader.read(a_png(20_000, 20_000), "image/png")
        await reader.close()

        assert reading.trouble == "reading needs more memory than allowed"

    async def test_processor_time_is_limited(self):
        reader = ScanReaderPool(1, ReadingLimits(cpu_s=1))
        reading = await reader.read(make_scan(BIRTH_CERTIFICATE, pages=20), "application/pdf")
        await reader.close()

        assert reading.trouble == "reading needs more than 1 s of processor time"


async def test_a_machine_without_room_for_a_worker_is_unavailable():
    reader = ScanReaderPool(1, ReadingLimits(memory_bytes=1024))

    with pytest.raises(Unavailable):
        await reader.read(a_pdf(b""), "application/pdf")
    await reader.close()


async def test_readers_work_concurrently_and_all_close():
    readers = ScanReaderPool(2, ReadingLimits())
    tasks: list[Any] = [readers.read(write_pdf(SHORT), "application/pdf") for _ in range(4)]

    readings: list[ScanReading] = await asyncio.gather(*tasks)
    await readers.close()

    assert [reading.trouble for reading in readings] == [None] * 4
