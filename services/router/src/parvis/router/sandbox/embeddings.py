"""Embeds texts in worker processes, and caches the embeddings on disk."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.sandbox.job_limits import ResourceLimits
from parvis.common.runtime.sandbox.pool import SandboxPool
from parvis.router.decide.classifier.linear_model import DIMENSIONS
from parvis.router.decide.classifier.text_features import Floats, truncate_for_embedding
from parvis.router.sandbox.protocol import EMBED, EMBEDDING, MAX_TEXTS_PER_JOB, embedder_version

Progress = Callable[[int, int], None]  # texts done, texts in all

_WORKER_MODULE = "parvis.router.sandbox.classifier_worker"
LIMITS = ResourceLimits(memory_bytes=2 * 1024**3, cpu_s=120, wall_s=120.0)


class TextEmbedder:
    """Embeds texts; equal texts only once.

    Gives:  a row of unit length for each text, in order: shape (n, 384).
    Raises: Unavailable, when no worker process starts on this machine.
    """

    def __init__(self, pool: SandboxPool, count: int, cache: "EmbeddingCache | None") -> None:
        self._pool, self._free_workers, self._cache = pool, asyncio.Semaphore(count), cache

    async def embed(
        self, texts: Sequence[str], on_progress: Progress | None = None, *, use_cache: bool = True
    ) -> Floats:
        """Embed the texts. Without `use_cache` nothing is written to disk."""
        inputs = [truncate_for_embedding(text) for text in texts]
        rows = self._cache.find_rows(inputs) if self._cache else {}
        # Sorted by length, so that the jobs finish at about the same time.
        missing = sorted({text for text in inputs if text not in rows}, key=lambda text: (-len(text), text))
        done = 0

        async def embed_chunk(chunk: Sequence[str]) -> None:
            nonlocal done
            computed = await self._run_job(chunk)
            rows.update(zip(chunk, computed, strict=True))
            if self._cache and use_cache:
                self._cache.add(chunk, computed)
            done += len(chunk)
            if on_progress:
                on_progress(done, len(missing))

        async with asyncio.TaskGroup() as group:
            for start in range(0, len(missing), MAX_TEXTS_PER_JOB):
                group.create_task(embed_chunk(missing[start : start + MAX_TEXTS_PER_JOB]))
        return np.stack([rows[text] for text in inputs]) if inputs else np.zeros((0, DIMENSIONS), dtype=np.float32)

    async def _run_job(self, texts: Sequence[str]) -> Floats:
        async with self._free_workers:
            result = await self._pool.run_job(*((EMBED, text.encode()) for text in texts))
        rows = [np.frombuffer(row, dtype=np.float32) for kind, row in result.frames if kind == EMBEDDING]
        if len(rows) != len(texts):
            raise Unavailable(
                f"{len(texts) - len(rows)} texts were not embedded: {result.trouble or 'no reason given'}"
            )
        return np.stack(rows)


@asynccontextmanager
async def run_embedder(count: int, cache_folder: Path | None) -> AsyncGenerator[TextEmbedder]:
    """Run `count` worker processes while the block lasts; with `cache_folder`, embeddings are cached there."""
    pool = SandboxPool(_WORKER_MODULE, task="embedding", count=count, limits=LIMITS, max_answers=MAX_TEXTS_PER_JOB)
    async with pool.running():
        yield TextEmbedder(pool, count, EmbeddingCache(cache_folder) if cache_folder else None)


class EmbeddingCache:
    """Embeddings on disk, keyed by the hash of the text; one file per version of the embedder.

    Shape: records of 16 bytes of SHA-256 and 384 half floats, appended whole. An incomplete record at the end is cut off.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / f"{embedder_version()}.f16"
        self._record = np.dtype([("text", "V16"), ("row", np.float16, (DIMENSIONS,))])
        self._rows: dict[bytes, Floats] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            content = self._file.read_bytes() if self._file.exists() else b""
        except OSError as error:
            raise Unavailable(f"the folder {folder} for cached embeddings cannot be used") from error
        whole = len(content) // self._record.itemsize * self._record.itemsize
        if whole < len(content):  # records appended after an incomplete one could not be read back
            self._file.write_bytes(content[:whole])
        for record in np.frombuffer(content[:whole], dtype=self._record):
            self._rows[record["text"].tobytes()] = record["row"].astype(np.float32)

    def find_rows(self, texts: Sequence[str]) -> dict[str, Floats]:
        """The cached embeddings among these texts, by text."""
        return {text: self._rows[key] for text in texts if (key := _cache_key(text)) in self._rows}

    def add(self, texts: Sequence[str], rows: Floats) -> None:
        """Append the embeddings of these texts."""
        records = np.zeros(len(texts), dtype=self._record)
        for number, (text, row) in enumerate(zip(texts, rows, strict=True)):
            records[number] = (np.void(_cache_key(text)), row.astype(np.float16))
            self._rows[_cache_key(text)] = row
        with self._file.open("ab") as file:
            file.write(records.tobytes())


def _cache_key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]
