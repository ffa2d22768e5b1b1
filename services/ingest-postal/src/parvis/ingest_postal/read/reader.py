"""A scan in, a Reading out: worker processes kept warm, watched, killed and replaced."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import ValidationError

from parvis.common.errors import Unavailable
from parvis.ingest_postal.read import frames
from parvis.ingest_postal.read.sheets import is_batch
from parvis.ingest_postal.tables import Limits, MediaType, Page, Picture, Reading

_Numbered = TypeVar("_Numbered", Page, Picture)
_START_S = 60.0  # loading Tesseract takes 0.3 s; a laptop that starts everything at once needs longer
_ANSWERS_A_PAGE = 4  # as it lies and as it was read: a picture and words each
_RECYCLE_PAGES = 200  # what the C libraries leak goes with the process


class Reader:
    """One worker process, one scan at a time.

    Gives:  a Reading, whatever the bytes: a worker that crashes, is killed or takes too long leaves what it had said by then and its trouble.
    Raises: Unavailable, when no worker starts on this machine now (no memory, no process to be had).
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._worker: _Worker | None = None
        self._code = 0
        self._pages_read = 0

    @property
    def pid(self) -> int | None:
        return self._worker.process.pid if self._worker else None

    async def open(self) -> None:
        """Start the worker, so that the first letter does not wait for it."""
        if self._worker and self._worker.process.returncode is None:
            return
        await self.close()
        try:
            self._worker = await _start(self._limits.memory_bytes)
            async with asyncio.timeout(_START_S):
                kind, _ = await self._worker.answer()
        except (OSError, TimeoutError, _Gone) as error:
            await self.close()
            raise Unavailable("the reading worker does not start") from error
        if kind != frames.HELLO:
            await self.close()
            raise Unavailable("the reading worker does not greet")
        self._pages_read = 0

    async def read(self, content: bytes, media_type: MediaType) -> Reading:
        await self.open()
        reading, ended_well = Reading(), False
        try:
            assert self._worker  # noqa: S101 (open() gave it)
            async with asyncio.timeout(self._limits.wall_s):
                await self._ask(self._worker, content, media_type)
                async for answer in self._told(self._worker):
                    reading = _with(reading, *answer)
            ended_well = True
        except TimeoutError:
            reading = replace(reading, trouble=f"reading took longer than {self._limits.wall_s:g} s")
        except _Gone:
            await self.close()
            reading = replace(reading, trouble=self._last_words())
        except (ValidationError, _Nonsense):
            reading = replace(reading, trouble="the reading worker answered nonsense")
        finally:
            self._pages_read += len(reading.pages)
            if not ended_well or self._pages_read >= _RECYCLE_PAGES:
                await self.close()
        return _with_the_rest_named(reading, self._limits.pages)

    async def close(self) -> None:
        """End the worker, whatever it is doing; nothing stays behind."""
        if self._worker:
            self._code = await self._worker.end()
            self._worker = None

    async def _ask(self, worker: "_Worker", content: bytes, media_type: MediaType) -> None:
        limits = self._limits
        job = frames.Job(
            media_type=media_type,
            pages=limits.pages,
            batch_pages=limits.batch_pages,
            pixels=limits.pixels,
            cpu_s=limits.cpu_s,
        )
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a worker that is gone is seen by its silence
            worker.questions.write(frames.frame(frames.JOB, job.model_dump_json().encode()))
            worker.questions.write(frames.frame(frames.SCAN, content))
            await worker.questions.drain()

    async def _told(self, worker: "_Worker") -> AsyncIterator[tuple[bytes, bytes]]:
        """Up to the last word, and never more than the pages allow: a worker taken over by a file cannot fill our memory."""
        for _ in range(_ANSWERS_A_PAGE * max(self._limits.pages, self._limits.batch_pages) + 2):
            kind, payload = await worker.answer()
            yield kind, payload
            if kind in (frames.DONE, frames.TROUBLE):
                return
        raise _Nonsense

    def _last_words(self) -> str:
        name = signal.Signals(-self._code).name if self._code < 0 else f"exit {self._code}"
        if name == "SIGXCPU":
            return f"reading needs more than {self._limits.cpu_s} s of processor time"
        return f"the reading worker stopped ({name})"


class Readers:
    """Several readers behind one door: as many letters are read at once."""

    def __init__(self, count: int, limits: Limits) -> None:
        self._all = [Reader(limits) for _ in range(count)]
        self._free: asyncio.Queue[Reader] = asyncio.Queue()
        for reader in self._all:
            self._free.put_nowait(reader)

    async def open(self) -> None:
        for reader in self._all:
            await reader.open()

    async def read(self, content: bytes, media_type: MediaType) -> Reading:
        reader = await self._free.get()
        try:
            return await reader.read(content, media_type)
        finally:
            self._free.put_nowait(reader)

    async def close(self) -> None:
        for reader in self._all:
            await reader.close()


class _Gone(Exception):
    """The worker closed its pipe."""


class _Nonsense(Exception):
    """The worker said what no worker of ours says."""


@dataclass(frozen=True)
class _Worker:
    process: asyncio.subprocess.Process
    questions: asyncio.StreamWriter
    answers: asyncio.StreamReader

    async def answer(self) -> tuple[bytes, bytes]:
        try:
            kind, length = frames.HEADER.unpack(await self.answers.readexactly(frames.HEADER.size))
            if length > frames.FRAME_LIMIT_BYTES:
                raise _Nonsense
            return kind, await self.answers.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise _Gone from error

    async def end(self) -> int:
        """Kill it, and give the code or the signal that it ended with."""
        with contextlib.suppress(ProcessLookupError):
            # Not Process.kill(): it polls, takes the exit status, and leaves asyncio's watcher with 255.
            if self.process.returncode is None:
                os.kill(self.process.pid, signal.SIGKILL)
        self.questions.close()
        while await self.answers.read(1024 * 1024):  # the pipe must end before asyncio lets go of it
            pass
        return await self.process.wait()


async def _start(memory_bytes: int) -> _Worker:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-m", "parvis.ingest_postal.read.worker", str(memory_bytes)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"OMP_THREAD_LIMIT": "1", "LC_ALL": "C.UTF-8"},  # none of the service's environment: it holds secrets
        start_new_session=True,
    )
    if not (process.stdin and process.stdout):
        raise OSError("no pipes")
    return _Worker(process, process.stdin, process.stdout)


def _with_the_rest_named(reading: Reading, limit: int) -> Reading:
    if reading.page_count <= limit or reading.trouble or is_batch(reading.pages):
        return reading
    return replace(reading, trouble=f"{reading.page_count} pages: only the first {limit} were read")


def _with(reading: Reading, kind: bytes, payload: bytes) -> Reading:
    """The reading, with one more answer."""
    if kind == frames.COUNT and len(payload) == frames.NUMBER.size:
        return replace(reading, page_count=frames.NUMBER.unpack(payload)[0])
    if kind == frames.PICTURE and payload[frames.NUMBER.size :].startswith(b"\xff\xd8\xff"):
        (number,) = frames.NUMBER.unpack_from(payload)
        return replace(reading, pictures=_put(reading.pictures, Picture(number, payload[frames.NUMBER.size :])))
    if kind == frames.PAGE:
        return replace(reading, pages=_put(reading.pages, Page.model_validate_json(payload)))
    if kind == frames.TROUBLE:
        return replace(reading, trouble=payload.decode(errors="replace")[:200])
    if kind == frames.DONE:
        return reading
    raise _Nonsense


def _put(known: tuple[_Numbered, ...], new: _Numbered) -> tuple[_Numbered, ...]:
    """In the order of the pages; what was known of the same page goes."""
    return tuple(sorted((*(one for one in known if one.number != new.number), new), key=lambda one: one.number))
