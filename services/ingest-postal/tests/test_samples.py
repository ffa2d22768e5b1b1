"""Facts about scans and PDFs from elsewhere: each gets an answer. A sample; `make corpus` reads all."""

import os
from pathlib import Path

import pytest

from parvis.ingest_postal.models.scan import ReadingLimits
from parvis.ingest_postal.parse.letter_to_contact import join_text
from parvis.ingest_postal.sandbox.scan_reader_pool import ScanReaderPool
from parvis.ingest_postal.verify.file_integrity import check_file_integrity

SAMPLES = Path(os.environ.get("PARVIS_SAMPLES", "")).resolve()  # noqa: TID251 (where the samples are is the tester's to say)
pytestmark = pytest.mark.skipif(
    "PARVIS_SAMPLES" not in os.environ,  # noqa: TID251
    reason="PARVIS_SAMPLES names no folder of samples",
)
LARGEST_BYTES = 300_000


def some(pattern: str, count: int) -> list[Path]:
    """Spread evenly over the folder, the large ones left out."""
    files = sorted(path for path in SAMPLES.glob(pattern) if path.is_file() and path.stat().st_size < LARGEST_BYTES)
    return files[:: max(len(files) // count, 1)][:count] if files else []


@pytest.mark.parametrize("folder", ["encrypted", "pypdf", "pikepdf", "py-pdf", "pdf-parse"])
async def test_every_pdf_gets_pages_or_a_reason(folder: str):
    reader = ScanReaderPool(1, ReadingLimits(pages=2, wall_s=20))
    for path in some(f"pdf/{folder}/*.pdf", 6):
        content = path.read_bytes()
        reading = await reader.read(content, "application/pdf")

        assert reading.pages or reading.trouble, path.name
    await reader.close()


async def test_every_pdf_that_needs_a_password_says_so():
    reader = ScanReaderPool(1, ReadingLimits())
    for path in some("pdf/encrypted/*user-password.pdf", 10):
        assert (await reader.read(path.read_bytes(), "application/pdf")).trouble in ("encrypted PDF", None), path.name
    await reader.close()


async def test_clean_typewritten_pages_are_read():
    """Two pages of the better ones; their truth marks underlining and raised letters, which no reading has."""
    reader = ScanReaderPool(1, ReadingLimits())
    for path in [path for path in some("scans/fr_1[35].*", 4) if path.suffix in (".jpeg", ".jpg")]:
        content = path.read_bytes()
        media_type = check_file_integrity(content, size_limit_bytes=50_000_000).media_type
        assert media_type
        read = set(join_text(await reader.read(content, media_type)).split())
        true = path.with_suffix(".gt.txt").read_text(encoding="utf-8").replace("_", "").replace("^", "").split()

        assert sum(word in read for word in true) / len(true) > 0.7, path.name
    await reader.close()
