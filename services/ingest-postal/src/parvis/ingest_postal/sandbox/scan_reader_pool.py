"""Reads scans in a pool of sandboxed processes."""

import asyncio
from dataclasses import replace
from typing import TypeVar

from pydantic import ValidationError

from parvis.common.runtime.sandbox.job_limits import ResourceLimits
from parvis.common.runtime.sandbox.pipe_protocol import Frame
from parvis.common.runtime.sandbox.pool import SandboxPool, SandboxResult
from parvis.ingest_postal.models.page import ScannedPage
from parvis.ingest_postal.models.scan import MediaType, ReadingLimits, ScannedPagePreview, ScanReading
from parvis.ingest_postal.parse.separator_sheets import has_separator_sheet
from parvis.ingest_postal.sandbox import pipe_messages

_Numbered = TypeVar("_Numbered", ScannedPage, ScannedPagePreview)
_ANSWERS_A_PAGE = 4  # a picture and words, as scanned and again as read
_RECYCLED_AFTER = 50  # letters; bounds what the C libraries leak
_NONSENSE = "the reading worker answered nonsense"


class ScanReaderPool:
    """One worker process for each letter read at the same time, kept warm from `open` to `close`.

    Gives:  a ScanReading for any bytes. When a worker crashes, is killed or exceeds its time, the pages it has sent and the trouble.
    Raises: Unavailable, when no worker can be started now (no memory, no process), or none is free in time.
    """

    def __init__(self, count: int, limits: ReadingLimits) -> None:
        self._limits = limits
        self._workers = SandboxPool(
            "parvis.ingest_postal.sandbox.scan_reader_child",
            count=count,
            limits=ResourceLimits(memory_bytes=limits.memory_bytes, cpu_s=limits.cpu_s, wall_s=limits.wall_s),
            task="reading",
            max_answers=_ANSWERS_A_PAGE * max(limits.pages, limits.batch_pages) + 2,
            recycled_after=_RECYCLED_AFTER,
        )
        self._started, self._closing = asyncio.Event(), asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    @property
    def pids(self) -> set[int]:
        return self._workers.pids

    async def open(self) -> None:
        """Start the workers, so that the first letter does not wait for them."""
        if not self._running or self._running.done():
            self._started.clear()
            self._closing.clear()
            # The task that enters the pool must also leave it; `open` and `close` are called from different tasks.
            self._running = asyncio.create_task(self._run())
        await self._started.wait()

    async def read(self, content: bytes, media_type: MediaType) -> ScanReading:
        await self.open()
        limits = self._limits
        job = pipe_messages.Job(
            media_type=media_type,
            pages=limits.pages,
            batch_pages=limits.batch_pages,
            pixels=limits.pixels,
            cpu_s=limits.cpu_s,
        )
        result = await self._workers.run_job(
            (pipe_messages.JOB, job.model_dump_json().encode()), (pipe_messages.SCAN, content)
        )
        return _note_unread_pages(_drop_blank_previews(_assemble_reading(result)), limits.pages)

    async def close(self) -> None:
        """End all workers, also those in use."""
        self._closing.set()
        if self._running:
            await self._running
            self._running = None

    async def _run(self) -> None:
        try:
            async with self._workers.running():
                self._started.set()
                await self._closing.wait()
        finally:
            self._started.set()


def _assemble_reading(result: SandboxResult) -> ScanReading:
    reading = ScanReading()
    try:
        for frame in result.frames:
            reading = _add_frame(reading, frame)
    except (ValidationError, ValueError):
        return replace(reading, trouble=_NONSENSE)
    return replace(reading, trouble=reading.trouble or result.trouble)


def _add_frame(reading: ScanReading, frame: Frame) -> ScanReading:
    """Add one frame to the reading. Raises: ValueError, for a frame that the worker never sends."""
    kind, payload = frame
    if kind == pipe_messages.COUNT and len(payload) == pipe_messages.NUMBER.size:
        return replace(reading, page_count=pipe_messages.NUMBER.unpack(payload)[0])
    if kind == pipe_messages.PICTURE and payload[pipe_messages.NUMBER.size :].startswith(b"\xff\xd8\xff"):
        (number,) = pipe_messages.NUMBER.unpack_from(payload)
        return replace(
            reading,
            previews=_replace_page(reading.previews, ScannedPagePreview(number, payload[pipe_messages.NUMBER.size :])),
        )
    if kind == pipe_messages.PAGE:
        return replace(reading, pages=_replace_page(reading.pages, ScannedPage.model_validate_json(payload)))
    if kind == pipe_messages.TROUBLE:
        return replace(reading, trouble=payload.decode(errors="replace")[:200])
    raise ValueError(_NONSENSE)


def _replace_page(known: tuple[_Numbered, ...], new: _Numbered) -> tuple[_Numbered, ...]:
    """Replace the entry of the same page, and keep the order of the pages."""
    return tuple(sorted((*(page for page in known if page.number != new.number), new), key=lambda page: page.number))


def _drop_blank_previews(reading: ScanReading) -> ScanReading:
    """Drop the pictures of blank pages, unless all pages are blank."""
    blank = reading.blank_pages
    if len(blank) == len(reading.pages):
        return reading
    return replace(reading, previews=tuple(picture for picture in reading.previews if picture.number not in blank))


def _note_unread_pages(reading: ScanReading, limit: int) -> ScanReading:
    if reading.page_count <= limit or reading.trouble or has_separator_sheet(reading.pages):
        return reading
    return replace(reading, trouble=f"{reading.page_count} pages: only the first {limit} were read")
