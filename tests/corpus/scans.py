"""Measures OCR on scanned pages with ground truth: word recall in any orientation, and the confidence of poor pages."""

import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import tesserocr
from PIL import Image, ImageFilter

from parvis.ingest_postal.models.scan import ReadingLimits, ScanReading
from parvis.ingest_postal.parse.letter_to_contact import join_text
from parvis.ingest_postal.sandbox.ocr.tesseract import TESSDATA
from parvis.ingest_postal.sandbox.scan_reader_pool import ScanReaderPool
from parvis.ingest_postal.verify.file_integrity import check_file_integrity
from parvis.local.letter import BIRTH_CERTIFICATE, make_scan
from parvis.local.stack import Stack
from tests.corpus.corpus import Corpus, Score
from tests.corpus.pdf import processor_s

_LOW = 0.8
_SIGNS = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "«": '"', "»": '"', "—": "-", "–": "-"})


@dataclass(frozen=True)
class _Result:
    name: str
    layout: str
    turn: int
    recall: float
    plain: float
    confidence: float
    used_s: float


async def run(folder: Path, stack: Stack) -> Sequence[Score]:
    """Measure the reader with the service's own worker, without the intake loop."""
    del stack
    reader = ScanReaderPool(1, ReadingLimits())
    await reader.open()
    plain = tesserocr.PyTessBaseAPI(path=f"{TESSDATA}/", lang="fra")
    results: list[_Result] = []
    for number, row in enumerate(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))):
        for turn in (0, (90, 180, 270)[number % 3]):
            result = await _read(reader, plain, folder, row, turn)
            results.append(result)
            print(
                f"    {result.name:<22}{turn:>4}° recall {result.recall:.3f} plain {result.plain:.3f} "
                f"confidence {result.confidence:.2f} {result.used_s:.1f} s",
                flush=True,
            )
    errors = [await _character_errors(reader, dpi, noise) for dpi in (200, 300) for noise in (0, 40)]
    await reader.close()
    plain.End()
    return _scores(results, errors)


async def _read(reader: ScanReaderPool, plain: Any, folder: Path, row: dict[str, Any], turn: int) -> _Result:
    content = (folder / row["image"]).read_bytes()
    truth = (folder / row["gt"]).read_text(encoding="utf-8")
    image: Image.Image = Image.open(io.BytesIO(content))
    if turn:
        image = image.transpose(Image.Transpose(turn // 90 + 1))
        content = _png(image)
    media_type = check_file_integrity(content, size_limit_bytes=50_000_000).media_type
    assert media_type, row["image"]
    used_s = processor_s(reader)
    reading = await reader.read(content, media_type)
    used_s = processor_s(reader) - used_s
    plain.SetImage(image)
    return _Result(
        row["image"],
        row.get("layout") or row["image"].split("_")[0],
        turn,
        _recall(truth, join_text(reading)),
        _recall(truth, plain.GetUTF8Text()),
        _confidence(reading),
        used_s,
    )


def _scores(results: list[_Result], errors: list[float]) -> list[Score]:
    upright = [result for result in results if not result.turn]
    scores = [Score("character error on clean modern pages, worst of 4", "share", max(errors), "<= 0.005")]
    for layout in sorted({result.layout for result in upright}):
        pages = [result for result in upright if result.layout == layout]
        target = ">= 0.05" if any(result.name.startswith("fr_") for result in pages) else ""
        scores += [
            Score(f"mean word recall, {layout}", "share", mean(page.recall for page in pages)),
            Score(
                f"the same above plain Tesseract, {layout}",
                "share",
                mean(page.recall - page.plain for page in pages),
                target,
            ),
        ]
    lying = {result.name: result.recall for result in upright}
    bad = [result for result in results if result.recall < _LOW]
    good = [result for result in results if result.recall >= _LOW]
    return [
        *scores,
        Score(
            "most that turning a page costs",
            "share",
            max(lying[page_result.name] - page_result.recall for page_result in results),
            "<= 0.02",
        ),
        Score("pages read below 0.8 that say so", "share", _share(bad), ">= 1"),
        Score("pages read well that doubt themselves", "share", _share(good)),
        Score("processor time a page, mean", "s", mean(result.used_s for result in upright)),
        Score("processor time a page, longest", "s", max(result.used_s for result in results), "<= 8"),
    ]


def _share(results: list[_Result]) -> float:
    return mean(result.confidence < _LOW for result in results) if results else 1.0


def _confidence(reading: ScanReading) -> float:
    return min((page.confidence for page in reading.pages), default=0.0)


def _recall(truth: str, read: str) -> float:
    expected, recognized = Counter(_words(re.sub(r"~~~|[_^]", "", truth))), Counter(_words(read))
    return sum((expected & recognized).values()) / max(sum(expected.values()), 1)


def _words(text: str) -> list[str]:
    return text.translate(_SIGNS).split()


async def _character_errors(reader: ScanReaderPool, dpi: int, noise: int) -> float:
    letter = BIRTH_CERTIFICATE
    truth = " ".join(
        (*letter.sender, *letter.addressee, letter.date, f"Objet : {letter.subject}", *letter.body, letter.signature)
    )
    image: Image.Image = Image.open(io.BytesIO(make_scan(letter, dpi=dpi, noise=noise, angle=0.7, scan_format="png")))
    content = _png(image.filter(ImageFilter.GaussianBlur(0.5)) if noise else image)
    read = " ".join(join_text(await reader.read(content, "image/png")).translate(_SIGNS).split())
    return _distance(read, " ".join(truth.translate(_SIGNS).split())) / len(truth)


def _distance(left: str, right: str) -> int:
    row = list(range(len(right) + 1))
    for row_number, a in enumerate(left, 1):
        corner, row[0] = row[0], row_number
        for column, b in enumerate(right, 1):
            corner, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, corner + (a != b))
    return row[-1]


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


CORPUS = Corpus(
    "scans",
    "scans",
    "are old pages read better than by plain Tesseract, in any orientation, and do poor ones have a low confidence?",
    run,
)
