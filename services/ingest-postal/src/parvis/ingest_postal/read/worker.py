"""The process that meets hostile bytes: scans in on one pipe, words and pictures out on another; limited, without secrets, killed at will."""

import time
from collections.abc import Iterator
from typing import Any

from PIL import Image

from parvis.common.runtime.sandbox.child import serve
from parvis.common.runtime.sandbox.pipe_protocol import Frame
from parvis.ingest_postal.read import frames
from parvis.ingest_postal.read.blank import is_blank
from parvis.ingest_postal.read.codes import find_codes
from parvis.ingest_postal.read.engine import Engine, Lines
from parvis.ingest_postal.read.page import BUDGET_S, read_picture
from parvis.ingest_postal.read.scan import READING_DPI, Scan, Unreadable, for_screen, open_scan
from parvis.ingest_postal.read.sense import is_better, is_short, makes_sense
from parvis.ingest_postal.read.sheets import is_batch
from parvis.ingest_postal.read.upright import straighten
from parvis.ingest_postal.tables import Line, Page, Word

_LOOKING_DPI = 200
_ONCE_S = 1.5  # of processor time, to read a page of A4 once
_SHOWN_CROOKED = 0.5  # degrees; people see half of that
# What Pillow, PDFium and Tesseract raise at damaged files; anything else ends this process, and the reader says so.
_SURPRISES = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, SyntaxError, TypeError, ValueError)


def answer(engine: Engine, question: list[Frame]) -> Iterator[Frame]:
    """Everything that can be told of a scan: the number of pages, their pictures, their codes, their words, and what went wrong.

    Raises: MemoryError, at the end: the process is worn out, but what could be read was told.
    """
    asked = dict(question)
    job = frames.Job.model_validate_json(asked[frames.JOB])
    troubles: list[BaseException] = []
    yield from _tried(_pages(engine, job, asked[frames.SCAN], troubles), troubles)
    if troubles:
        yield frames.TROUBLE, _say(troubles[0]).encode()
    if any(isinstance(trouble, MemoryError) for trouble in troubles):
        raise MemoryError


def _pages(engine: Engine, job: frames.Job, content: bytes, troubles: list[BaseException]) -> Iterator[Frame]:
    """All pictures and codes before any word: should reading fail, people have the pictures, and a batch can be split."""
    scan = open_scan(content, job.media_type, pixels=job.pixels)
    yield frames.COUNT, frames.NUMBER.pack(scan.page_count)
    seen: list[Page] = []
    for index in range(min(scan.page_count, max(job.pages, job.batch_pages))):
        yield from _tried(_look(scan, index, seen, with_picture=index < job.pages), troubles)
    spare_s = job.cpu_s / 4  # for second looks: every page of a long letter is read once before any is read seven times
    for page in [] if is_batch(seen) else seen[: job.pages]:
        if page.is_blank:
            continue
        started_s = time.process_time()
        yield from _tried(_words(engine, scan, page, min(BUDGET_S, spare_s)), troubles)
        spare_s -= max(time.process_time() - started_s - _ONCE_S, 0)


def _tried(answers: Iterator[Frame], troubles: list[BaseException]) -> Iterator[Frame]:
    """One page's answers; a page that fails costs itself only."""
    try:
        yield from answers
    except (*_SURPRISES, MemoryError, Unreadable) as error:
        troubles.append(error)


def _look(scan: Scan, index: int, seen: list[Page], *, with_picture: bool) -> Iterator[Frame]:
    picture = scan.picture(index, dpi=_LOOKING_DPI)
    codes = find_codes(picture)
    blank = not codes and is_blank(picture) and not scan.text_layer(index) and not scan.added(index)
    page = Page(number=index + 1, lines=(), confidence=0, source="reading", codes=codes, is_read=blank, is_blank=blank)
    if with_picture:
        yield _shown(page, picture)
    yield _told(page)
    seen.append(page)


def _words(engine: Engine, scan: Scan, seen: Page, budget_s: float) -> Iterator[Frame]:
    """The page's words; and its picture again where it did not lie straight."""
    index = seen.number - 1
    own, added = scan.text_layer(index), scan.added(index)
    if own and _is_all(own, scan, index) and makes_sense(own, engine):
        yield _told(_page(seen, own, added, confidence=1.0, source="layer"))
        return
    picture = scan.picture(index, dpi=READING_DPI)
    read = read_picture(engine, picture, budget_s=budget_s)
    if own and is_better(own, read, engine, is_photographed=scan.is_photographed(index)):
        # Somebody else's reading of the same picture, most often: people must know that ours was worse.
        yield _told(_page(seen, own, added, confidence=read.confidence, source="reading"))
        return
    if own and not scan.is_photographed(index):
        added = (*(line.text for line in own), *added)
    yield _told(_page(seen, read.lines, added, confidence=read.confidence, source="reading", language=read.language))
    if read.quarter or abs(read.angle) >= _SHOWN_CROOKED:
        mended = straighten(picture, read.quarter, read.angle, least=_SHOWN_CROOKED)
        yield _shown(seen, mended)


def _is_all(own: Lines, scan: Scan, index: int) -> bool:
    """Whether the file's own text is all that stands on the page: a program wrote it, and no paper was laid on the glass."""
    return not scan.is_drawn(index) if is_short(own) else not scan.is_photographed(index)


def _page(seen: Page, lines: Lines, added: tuple[str, ...], **found: Any) -> Page:
    """What was added to the page, in a block of its own under the text, where the text does not show it already."""
    known = " ".join(line.text for line in lines)
    block = max((line.block for line in lines), default=0) + 1
    more = [
        Line(block=block, words=_placeless(text))
        for text in dict.fromkeys(added)
        if " ".join(text.split()) not in known
    ]
    return seen.model_copy(update={"lines": (*lines, *more), "is_read": True, **found})


def _placeless(text: str) -> tuple[Word, ...]:
    return tuple(Word(text=part[:1000], confidence=1.0, left=0, top=1, right=1, bottom=1) for part in text.split())


def _told(page: Page) -> Frame:
    return frames.PAGE, page.model_dump_json().encode()


def _shown(page: Page, picture: Image.Image) -> Frame:
    return frames.PICTURE, frames.NUMBER.pack(page.number) + for_screen(picture)


def _say(error: BaseException) -> str:
    """What an agent reads; a library's own sentence may quote the letter and stays here."""
    if isinstance(error, Unreadable):
        return str(error)
    if isinstance(error, MemoryError):
        return "reading needs more memory than allowed"
    return f"damaged file ({type(error).__name__})"


def main() -> None:
    engines: list[Engine] = []

    def warm() -> None:
        engines.append(Engine())

    serve(lambda question: answer(engines[0], question), warm=warm)


if __name__ == "__main__":
    main()
