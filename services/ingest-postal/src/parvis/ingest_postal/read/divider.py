"""A batch in, its letters as files of their own out: the host's side; the work is done by `dividing` in a worker process."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from parvis.common.runtime.logs import logger
from parvis.common.runtime.sandbox.pipe_protocol import Frame
from parvis.common.runtime.sandbox.pool import SandboxPool
from parvis.common.runtime.sandbox.resource_limits import ResourceLimits
from parvis.ingest_postal.parse.batch import Part
from parvis.ingest_postal.read import parts as kinds
from parvis.ingest_postal.tables import Limits as LetterLimits

log = logger()
_WORKER = "parvis.ingest_postal.read.dividing"
NOT_SEPARATED = "the letters of this batch could not be separated"


@dataclass(frozen=True)
class Divided:
    """One letter of a batch."""

    content: bytes
    part: Part


class Divider:
    """Divides batches; its worker lives only as long as a batch: most files are one letter.

    Gives:  the letters and no trouble, or why the batch cannot be divided.
    Raises: Unavailable, when no worker starts on this machine now.
    """

    def __init__(self, limits: LetterLimits, *, letters: int) -> None:
        self._limits = ResourceLimits(memory_bytes=limits.memory_bytes, cpu_s=limits.cpu_s, wall_s=limits.wall_s)
        self._letters = letters

    async def divide(self, content: bytes, parts: Sequence[Part]) -> tuple[tuple[Divided, ...], str | None]:
        if len(parts) > self._letters:
            return (), f"more than {self._letters} letters in one file, not separated"
        asked = json.dumps([part.pages for part in parts]).encode()
        workers = SandboxPool(_WORKER, task="splitting", count=1, limits=self._limits, max_answers=len(parts))
        async with workers.running():
            answer = await workers.run_job((kinds.BATCH, content), (kinds.PARTS, asked))
        if answer.trouble:
            log.warning("batch.undivided", channel="post", reason=answer.trouble)
            return (), NOT_SEPARATED
        return _letters(answer.frames, parts)


def _letters(frames: Sequence[Frame], parts: Sequence[Part]) -> tuple[tuple[Divided, ...], str | None]:
    """Hold the answer against the question: the worker may have been taken over by what it read."""
    if [kind for kind, _ in frames] != [kinds.LETTER] * len(parts):
        return (), NOT_SEPARATED
    return tuple(Divided(content, part) for (_, content), part in zip(frames, parts, strict=True)), None
