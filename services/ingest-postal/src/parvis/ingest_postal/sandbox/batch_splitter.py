"""Splits a batch into one file per letter in a sandboxed process."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from parvis.common.runtime.logs import logger
from parvis.common.runtime.sandbox.job_limits import ResourceLimits
from parvis.common.runtime.sandbox.pipe_protocol import Frame
from parvis.common.runtime.sandbox.pool import SandboxPool
from parvis.ingest_postal.models.scan import ReadingLimits
from parvis.ingest_postal.parse.separator_sheets import LetterPages
from parvis.ingest_postal.sandbox.pipe_messages import BATCH, LETTER, LETTER_PAGES

log = logger()
_WORKER = "parvis.ingest_postal.sandbox.batch_splitter_child"
NOT_SEPARATED = "the letters of this batch could not be separated"


@dataclass(frozen=True)
class SplitLetter:
    """One letter of a batch."""

    content: bytes
    pages: LetterPages


class BatchSplitter:
    """Splits batches. Each batch has its own worker process, because most files are a single letter.

    Gives:  the letters and None, or no letters and the reason.
    Raises: Unavailable, when no worker can be started now.
    """

    def __init__(self, limits: ReadingLimits, *, letters: int) -> None:
        self._limits = ResourceLimits(memory_bytes=limits.memory_bytes, cpu_s=limits.cpu_s, wall_s=limits.wall_s)
        self._max_letters = letters

    async def split(self, content: bytes, letters: Sequence[LetterPages]) -> tuple[tuple[SplitLetter, ...], str | None]:
        if len(letters) > self._max_letters:
            return (), f"more than {self._max_letters} letters in one file, not separated"
        request = json.dumps([part.pages for part in letters]).encode()
        workers = SandboxPool(_WORKER, task="splitting", count=1, limits=self._limits, max_answers=len(letters))
        async with workers.running():
            result = await workers.run_job((BATCH, content), (LETTER_PAGES, request))
        if result.trouble:
            log.warning("scan.not_split", channel="post", reason=result.trouble)
            return (), NOT_SEPARATED
        return _match_letters(result.frames, letters)


def _match_letters(frames: Sequence[Frame], parts: Sequence[LetterPages]) -> tuple[tuple[SplitLetter, ...], str | None]:
    """Check the answer against the request: hostile bytes may have taken over the worker."""
    if [kind for kind, _ in frames] != [LETTER] * len(parts):
        return (), NOT_SEPARATED
    return tuple(SplitLetter(content, part) for (_, content), part in zip(frames, parts, strict=True)), None
