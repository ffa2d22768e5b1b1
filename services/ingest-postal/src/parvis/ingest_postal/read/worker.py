"""The process that meets hostile bytes: scans in on one pipe, words and pictures out on another; limited, without secrets, killed at will."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

from parvis.ingest_postal.read import frames
from parvis.ingest_postal.read.codes import find_codes
from parvis.ingest_postal.read.engine import Engine, Lines
from parvis.ingest_postal.read.page import BUDGET_S, read_picture
from parvis.ingest_postal.read.scan import READING_DPI, Scan, Unreadable, for_screen, open_scan
from parvis.ingest_postal.read.sheets import is_batch
from parvis.ingest_postal.read.upright import straighten
from parvis.ingest_postal.tables import Line, Page, Word

_LOOKING_DPI = 200
_ONCE_S = 1.5  # of processor time, to read a page of A4 once
_SHOWN_CROOKED = 0.5  # degrees; people see half of that
_FEWEST_CHARACTERS = 40  # a page number or a copier's stamp is not the letter
# What Pillow, PDFium and Tesseract raise at damaged files; anything else ends this process, and the reader says so.
_SURPRISES = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, SyntaxError, TypeError, ValueError)
_DOUBTFUL = 0.6  # below it, the text that a copier laid under its picture is as good a guess as ours


def main(memory_bytes: int) -> None:
    """Read one scan after another until the reader closes the pipe."""
    answers = _keep_output_to_ourselves()
    _limit(memory_bytes)
    engine = Engine()
    _send(answers, frames.frame(frames.HELLO))
    _be_silent()
    while (job := _next_job(sys.stdin.buffer)) is not None:
        for answer in read(engine, *job):
            _send(answers, answer)


def read(engine: Engine, job: frames.Job, content: bytes) -> Iterator[bytes]:
    """Everything that can be told of a scan, as frames: the number of pages, their pictures, their words, and how it ended."""
    troubles: list[str] = []
    seen: list[Page] = []
    spare_s = job.cpu_s / 4  # for second looks: every page of a long letter is read once before any is read seven times
    try:
        scan = open_scan(content, job.media_type, pixels=job.pixels)
        yield frames.frame(frames.COUNT, frames.NUMBER.pack(scan.page_count))
        # All pictures and codes before any word: should reading fail, people have the pictures, and a batch can be split.
        for index in range(min(scan.page_count, max(job.pages, job.batch_pages))):
            yield from _tried(_look(scan, index, seen, with_picture=index < job.pages), troubles)
        for page in [] if is_batch(seen) else seen[: job.pages]:
            started_s = time.process_time()
            yield from _tried(_words(engine, scan, page, min(BUDGET_S, spare_s)), troubles)
            spare_s -= max(time.process_time() - started_s - _ONCE_S, 0)
    except (*_SURPRISES, MemoryError, Unreadable) as error:
        troubles.append(_say(error))
    yield frames.frame(frames.TROUBLE, troubles[0].encode()) if troubles else frames.frame(frames.DONE)


def _tried(answers: Iterator[bytes], troubles: list[str]) -> Iterator[bytes]:
    """One page's answers; a page that fails costs itself only."""
    try:
        yield from answers
    except (*_SURPRISES, MemoryError, Unreadable) as error:
        troubles.append(_say(error))


def _look(scan: Scan, index: int, seen: list[Page], *, with_picture: bool) -> Iterator[bytes]:
    picture = scan.picture(index, dpi=_LOOKING_DPI)
    page = Page(number=index + 1, lines=(), confidence=0, source="reading", codes=find_codes(picture), is_read=False)
    if with_picture:
        yield frames.frame(frames.PICTURE, frames.NUMBER.pack(page.number) + for_screen(picture))
    yield _told(page)
    seen.append(page)


def _words(engine: Engine, scan: Scan, seen: Page, budget_s: float) -> Iterator[bytes]:
    """The page's words; and its picture again where it did not lie straight."""
    index = seen.number - 1
    own, added = scan.text_layer(index), scan.added(index)
    if own and _is_all(own, scan, index):
        yield _told(_page(seen, own, added, confidence=1.0, source="layer"))
        return
    picture = scan.picture(index, dpi=READING_DPI)
    read = read_picture(engine, picture, budget_s=budget_s)
    if own and read.confidence < _DOUBTFUL:
        yield _told(_page(seen, own, added, confidence=read.confidence, source="layer"))
        return
    yield _told(_page(seen, read.lines, added, confidence=read.confidence, source="reading", language=read.language))
    if read.quarter or abs(read.angle) >= _SHOWN_CROOKED:
        mended = straighten(picture, read.quarter, read.angle, least=_SHOWN_CROOKED)
        yield frames.frame(frames.PICTURE, frames.NUMBER.pack(seen.number) + for_screen(mended))


def _is_all(own: Lines, scan: Scan, index: int) -> bool:
    """Whether the file's own text is all that stands on the page: a program wrote it, and no paper was laid on the glass."""
    few = sum(len(line.text) for line in own) < _FEWEST_CHARACTERS
    return not scan.is_drawn(index) if few else not scan.is_photographed(index)


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


def _told(page: Page) -> bytes:
    return frames.frame(frames.PAGE, page.model_dump_json().encode())


def _say(error: BaseException) -> str:
    """What an agent reads; a library's own sentence may quote the letter and stays here."""
    if isinstance(error, Unreadable):
        return str(error)
    if isinstance(error, MemoryError):
        return "reading needs more memory than allowed"
    return f"damaged file ({type(error).__name__})"


def _next_job(stream: BinaryIO) -> tuple[frames.Job, bytes] | None:
    asked, scan = frames.read_frame(stream), frames.read_frame(stream)
    if asked is None or scan is None:
        return None
    job = frames.Job.model_validate_json(asked[1])
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + job.cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))  # SIGXCPU ends the process
    return job, scan[1]


def _keep_output_to_ourselves() -> BinaryIO:
    """A C library that prints must not speak on the pipe of the answers."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _be_silent() -> None:
    """What parsers print about a scan may quote it: nothing of that reaches a log."""
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123 (a device, not a path)
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)


def _limit(memory_bytes: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which then closes the pipe
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # macOS does not limit address space
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    if sys.platform == "linux":  # PR_SET_PDEATHSIG: a killed service leaves no reader behind
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _send(answers: BinaryIO, frame: bytes) -> None:
    answers.write(frame)
    answers.flush()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main(int(sys.argv[1]))
