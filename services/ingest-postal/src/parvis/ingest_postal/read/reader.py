"""Scans in, Readings out, whatever the scan does to the worker that reads it."""

from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from parvis.common.worker import process
from parvis.common.worker.workers import Workers
from parvis.ingest_postal.read import frames
from parvis.ingest_postal.tables import Limits, MediaType, Page, Picture, Reading

_PROGRAM = process.Program("reading", ("-m", "parvis.ingest_postal.read.worker"), recycle_after=200)  # pages
_PAGE_BYTES = 16 * 1024 * 1024  # no picture for a screen, no page of words comes near


class Readers:
    """As many letters at once as are set, each in a process of its own.

    Gives:  a Reading, whatever the bytes: a worker that crashes, is killed or takes too long leaves what it had said by then and its trouble.
    Raises: Unavailable, when no worker starts on this machine now (no memory, no process to be had).
    """

    def __init__(self, count: int, limits: Limits) -> None:
        self._limits = limits
        self._workers = Workers(_PROGRAM, _limits_of(limits), count=count)

    @property
    def pids(self) -> set[int]:
        return self._workers.pids

    def running(self) -> AbstractAsyncContextManager[None]:
        """Keep the workers while the block lasts."""
        return self._workers.running()

    async def open(self) -> None:
        """Wait for a worker, so that the first letter does not."""
        await self._workers.ready()

    async def read(self, content: bytes, media_type: MediaType) -> Reading:
        job = frames.Job(media_type=media_type, pages=self._limits.pages, pixels=self._limits.pixels)
        heard = _Heard(self._limits.pages)
        trouble = await self._workers.ask(job.model_dump_json().encode(), content, hear=heard.take)
        reading = replace(heard.reading, trouble=trouble.reason) if trouble else heard.reading
        return _with_the_rest_named(reading, self._limits.pages)


class _Heard:
    """What a worker has said of one scan by now; never more than its pages allow."""

    def __init__(self, pages_limit: int) -> None:
        self.reading = Reading()
        self._left = 2 * pages_limit + 2

    def take(self, answer: bytes) -> int | None:
        """One more answer; it is pages that wear a worker."""
        self._left -= 1
        if self._left < 0:
            raise ValueError("more answers than pages")
        kind, payload = answer[:1], answer[1:]
        self.reading = _with(self.reading, kind, payload)
        return len(self.reading.pages) if kind in (frames.DONE, frames.TROUBLE) else None


def _limits_of(limits: Limits) -> process.Limits:
    return process.Limits(limits.memory_bytes, limits.cpu_s, limits.wall_s, answer_bytes=_PAGE_BYTES * limits.pages)


def _with_the_rest_named(reading: Reading, limit: int) -> Reading:
    if reading.page_count <= limit or reading.trouble:
        return reading
    return replace(reading, trouble=f"{reading.page_count} pages: only the first {limit} were read")


def _with(reading: Reading, kind: bytes, payload: bytes) -> Reading:
    """The reading, with one more answer.

    Raises: ValueError, when no worker of ours says that.
    """
    if kind == frames.COUNT and len(payload) == frames.NUMBER.size:
        return replace(reading, page_count=frames.NUMBER.unpack(payload)[0])
    if kind == frames.PICTURE and payload[frames.NUMBER.size :].startswith(b"\xff\xd8\xff"):
        (number,) = frames.NUMBER.unpack_from(payload)
        return replace(reading, pictures=(*reading.pictures, Picture(number, payload[frames.NUMBER.size :])))
    if kind == frames.PAGE:
        return replace(reading, pages=(*reading.pages, Page.model_validate_json(payload)))
    if kind == frames.TROUBLE:
        return replace(reading, trouble=payload.decode(errors="replace")[:200])
    if kind == frames.DONE:
        return reading
    raise ValueError("no answer of ours")
