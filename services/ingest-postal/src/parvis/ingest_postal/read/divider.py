"""A batch in, its letters as files of their own out: the host's side; the work is done by `dividing` in a worker process."""

import contextlib
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from parvis.common.logs import logger
from parvis.common.workers import Limits, Workers
from parvis.ingest_postal.parse.batch import Part
from parvis.ingest_postal.read import parts as kinds
from parvis.ingest_postal.tables import Limits as LetterLimits

log = logger()
NOT_SEPARATED = "the letters of this batch could not be separated"


@dataclass(frozen=True)
class Divided:
    """One letter of a batch."""

    content: bytes
    pages: tuple[int, ...]  # in the batch
    part: Part


class Divider:
    """Divides batches; its worker lives only as long as a batch: most files are one letter.

    Gives:  the letters and no trouble, or why the batch cannot be divided.
    Raises: Unavailable, when no worker starts on this machine now.
    """

    def __init__(self, limits: LetterLimits, *, letters: int) -> None:
        self._letters = letters
        self._workers = Workers(
            "parvis.ingest_postal.read.dividing",
            count=1,
            limits=Limits(memory_bytes=limits.memory_bytes, cpu_s=limits.cpu_s, wall_s=limits.wall_s),
            most_answers=2 * letters,
        )

    async def divide(self, content: bytes, parts: Sequence[Part]) -> tuple[tuple[Divided, ...], str | None]:
        if len(parts) > self._letters:
            return (), f"more than {self._letters} letters in one file, not separated"
        asked = json.dumps([(part.first_may_be_back, part.pages) for part in parts]).encode()
        async with self._running() as workers:
            answer = await workers.ask((kinds.BATCH, content), (kinds.PARTS, asked))
        if answer.trouble:
            log.warning("batch.undivided", channel="post", reason=answer.trouble)
            return (), NOT_SEPARATED
        return _letters(answer.frames, parts)

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncGenerator[Workers]:
        async with self._workers.running():
            yield self._workers


def _letters(frames: Sequence[tuple[bytes, bytes]], parts: Sequence[Part]) -> tuple[tuple[Divided, ...], str | None]:
    """Hold the answer against the question: the worker may have been taken over by what it read."""
    of_page = {page: part for part in parts for page in part.pages}
    letters: list[Divided] = []
    for (kind, numbers), (other, content) in zip(frames[::2], frames[1::2], strict=False):
        pages = _numbers(numbers)
        part = of_page.get(pages[0]) if pages else None
        if (kind, other) != (kinds.PAGES, kinds.LETTER) or part is None or pages not in (part.pages, part.pages[1:]):
            return (), NOT_SEPARATED
        letters.append(Divided(content, pages, part))
    return tuple(letters), None


def _numbers(payload: bytes) -> tuple[int, ...]:
    try:
        numbers = json.loads(payload)
    except ValueError:
        return ()
    return tuple(number for number in numbers if isinstance(number, int)) if isinstance(numbers, list) else ()
