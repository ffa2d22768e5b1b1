"""Texts in, their meaning as rows of numbers out: by processes of their own, and each text once if it may be remembered."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.sandbox.pool import SandboxPool
from parvis.common.runtime.sandbox.resource_limits import ResourceLimits
from parvis.router.decide.classifier.features import Floats, beginning
from parvis.router.decide.classifier.model import DIMENSIONS
from parvis.router.read.frames import EMBED, EMBEDDING, MOST_AT_ONCE, embedder

Progress = Callable[[int, int], None]

_WORKER = "parvis.router.read.worker"
LIMITS = ResourceLimits(memory_bytes=2 * 1024**3, cpu_s=120, wall_s=120.0)


class Embeddings:
    """The meaning of texts.

    Gives:  a row a text, in their order; of length one, whatever the text.
    Raises: Unavailable, when no process for it starts here.
    """

    def __init__(self, workers: SandboxPool, count: int, remembered: "Remembered | None") -> None:
        self._workers, self._free, self._remembered = workers, asyncio.Semaphore(count), remembered

    async def of(self, texts: Sequence[str], told: Progress | None = None, *, keep: bool = True) -> Floats:
        read = [beginning(text) for text in texts]
        found = self._remembered.rows(read) if self._remembered else {}
        # By their length: the jobs of a batch end together.
        missing = sorted({text for text in read if text not in found}, key=lambda text: (-len(text), text))
        done = 0

        async def embed(chunk: Sequence[str]) -> None:
            nonlocal done
            rows = await self._asked(chunk)
            found.update(zip(chunk, rows, strict=True))
            if self._remembered and keep:
                self._remembered.add(chunk, rows)
            done += len(chunk)
            if told:
                told(done, len(missing))

        async with asyncio.TaskGroup() as group:
            for start in range(0, len(missing), MOST_AT_ONCE):
                group.create_task(embed(missing[start : start + MOST_AT_ONCE]))
        return np.stack([found[text] for text in read]) if read else np.zeros((0, DIMENSIONS), dtype=np.float32)

    async def _asked(self, texts: Sequence[str]) -> Floats:
        async with self._free:
            answer = await self._workers.run_job(*((EMBED, text.encode()) for text in texts))
        rows = [np.frombuffer(row, dtype=np.float32) for kind, row in answer.frames if kind == EMBEDDING]
        if len(rows) != len(texts):
            raise Unavailable(f"the texts were not embedded: {answer.trouble or 'too few answers'}")
        return np.stack(rows)


@asynccontextmanager
async def embeddings(count: int, folder: Path | None) -> AsyncGenerator[Embeddings]:
    """As many processes as `count` while the block lasts; what they find is kept in `folder`, for the next time."""
    workers = SandboxPool(_WORKER, task="embedding", count=count, limits=LIMITS, max_answers=MOST_AT_ONCE)
    async with workers.running():
        yield Embeddings(workers, count, Remembered(folder) if folder else None)


class Remembered:
    """Embeddings on disk, by the hash of what was embedded; a file for each version of what embeds.

    A record is 16 bytes of SHA-256 and 384 half floats. Records are appended whole; a torn one at the end is not read.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / f"{embedder()}.f16"
        self._record = np.dtype([("text", "V16"), ("row", np.float16, (DIMENSIONS,))])
        self._rows: dict[bytes, Floats] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            content = self._file.read_bytes() if self._file.exists() else b""
        except OSError as error:
            raise Unavailable(f"{folder} cannot be used to remember embeddings") from error
        whole = len(content) // self._record.itemsize * self._record.itemsize
        if whole < len(content):  # what was appended after it could not be found again
            self._file.write_bytes(content[:whole])
        for record in np.frombuffer(content[:whole], dtype=self._record):
            self._rows[record["text"].tobytes()] = record["row"].astype(np.float32)

    def rows(self, texts: Sequence[str]) -> dict[str, Floats]:
        return {text: self._rows[key] for text in texts if (key := _key(text)) in self._rows}

    def add(self, texts: Sequence[str], rows: Floats) -> None:
        records = np.zeros(len(texts), dtype=self._record)
        for number, (text, row) in enumerate(zip(texts, rows, strict=True)):
            records[number] = (np.void(_key(text)), row.astype(np.float16))
            self._rows[_key(text)] = row
        with self._file.open("ab") as file:
            file.write(records.tobytes())


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]
