"""Measures PDFs of every kind: each gives words, or pictures and a reason, in time; encrypted ones report it."""

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import psutil
import pypdfium2

from parvis.ingest_postal.models.scan import ReadingLimits, ScanReading
from parvis.ingest_postal.parse.letter_to_contact import join_text
from parvis.ingest_postal.sandbox.scan_reader_pool import ScanReaderPool
from parvis.local.stack import Stack
from tests.corpus.corpus import Corpus, Score

_LOCKED = "encrypted PDF"
_ENOUGH = 40  # characters, for a page that has a text of its own


@dataclass(frozen=True)
class _Result:
    row: dict[str, Any]
    reading: ScanReading
    elapsed_s: float
    used_s: float
    own_words: frozenset[str]

    @property
    def is_silent(self) -> bool:
        """Whether the reading has neither words, nor a picture of each page, nor a reason."""
        return not (
            self.reading.trouble
            or any(page.words for page in self.reading.pages)
            or len(self.reading.previews) == self.reading.page_count > 0
        )

    @property
    def found(self) -> float:
        read = set(join_text(self.reading).split())
        return mean(word in read for word in self.own_words)


async def run(folder: Path, stack: Stack) -> Sequence[Score]:
    del stack
    reader = ScanReaderPool(1, ReadingLimits())
    await reader.open()
    results: list[_Result] = []
    for row in json.loads((folder / "manifest.json").read_text(encoding="utf-8")):
        content = (folder / row["file"]).read_bytes()
        started_s, used_s = time.monotonic(), processor_s(reader)
        reading = await reader.read(content, "application/pdf")
        used_s = processor_s(reader) - used_s
        results.append(_Result(row, reading, time.monotonic() - started_s, used_s, _own_words(content)))
        words = sum(len(page.words) for page in reading.pages)
        print(
            f"    {row['file']:<60} {results[-1].elapsed_s:5.1f} s {reading.page_count} pages {words} words {reading.trouble or ''}",
            flush=True,
        )
    await reader.close()
    return _scores(results)


def _scores(results: list[_Result]) -> list[Score]:
    locked = [result for result in results if result.row.get("needs_password")]
    opened = [result for result in results if result.row.get("opens_without_password")]
    layered = [result for result in results if result.own_words]
    died = [result for result in results if "worker" in (result.reading.trouble or "")]
    return [
        Score("locked PDFs that say so", "share", mean(result.reading.trouble == _LOCKED for result in locked) if locked else 1.0, ">= 1"),
        Score("PDFs locked with an empty password that open", "share", mean(result.reading.trouble is None for result in opened) if opened else 1.0, ">= 1"),
        Score("words of the file's own text that are found, mean", "share", mean(result.found for result in layered) if layered else 1.0, ">= 0.95"),
        Score("PDFs without words, pictures and reason", "files", sum(result.is_silent for result in results), "= 0"),
        Score("PDFs that ended the worker", "files", len(died), "= 0"),
        Score("processor time a page, longest", "s", max(result.used_s / max(result.reading.page_count, 1) for result in results), "<= 10"),
        Score("seconds a file, longest, on a machine that may be busy", "s", max(result.elapsed_s for result in results)),
    ]  # fmt: skip


def processor_s(readers: ScanReaderPool) -> float:
    """The processor time of the workers so far; unlike elapsed time it does not depend on other load."""
    used = 0.0
    for pid in readers.pids:
        with suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            used += times.user + times.system
    return used


def _own_words(content: bytes) -> frozenset[str]:
    """The words that PDFium itself finds in a text layer; empty for a file without one."""
    try:
        document = pypdfium2.PdfDocument(content)
        text = " ".join(page.get_textpage().get_text_range() for page in document)
    except pypdfium2.PdfiumError:
        return frozenset()
    letters = sum(character.isalpha() for character in text)
    is_text = letters >= _ENOUGH and letters > 0.5 * len(text.replace(" ", ""))
    return frozenset(word for word in text.split() if word.isalpha()) if is_text else frozenset()


CORPUS = Corpus("pdf", "pdf", "does every PDF give its words or a reason in time?", run)
