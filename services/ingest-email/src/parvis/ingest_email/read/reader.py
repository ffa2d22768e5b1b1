"""Mails in, readings out: worker processes kept warm, watched, killed and replaced."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from pydantic import ValidationError

from parvis.common.errors import Unavailable
from parvis.common.logs import logger
from parvis.ingest_email.parse.mail import parse_head
from parvis.ingest_email.read import frames
from parvis.ingest_email.tables import Mail

log = logger()
_START_S = 30.0
_RECYCLE_MAILS = 2000  # what parsers leak goes with the process
_PAUSE_S = 1.0


@dataclass(frozen=True)
class Limits:
    """What reading one mail may take."""

    memory_bytes: int
    cpu_s: int
    wall_s: float


@dataclass(frozen=True)
class Reading:
    """A mail, and the bytes of its attachments in the same order."""

    mail: Mail
    contents: tuple[bytes, ...] = ()


class Readers:
    """As many processes as are set, one mail at a time each.

    Gives:  a Reading, whatever the bytes: a worker that crashes, is killed or takes too long leaves what the head says, and `trouble`.
    Raises: Unavailable, when no worker starts on this machine now, or none is free in time.
    Cancel: a caller that goes away leaves the worker to its mail; the next one waits for it.
    """

    def __init__(self, count: int, limits: Limits) -> None:
        self._limits = limits
        self._count = count
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(maxsize=100)
        self.pids: set[int] = set()

    async def read(self, content: bytes) -> Reading:
        job = _Job(content, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(2 * self._limits.wall_s):
                await self._jobs.put(job)
                return await job.answer
        except TimeoutError as error:
            raise Unavailable("no reading worker is free") from error

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Keep the workers while the block lasts; leave it when nobody asks any more."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._work()) for _ in range(self._count)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def _work(self) -> None:
        """One worker after another; the job that one died with is given to the next, once."""
        left: _Job | None = None
        while True:
            try:
                async with _worker(self._limits) as worker:
                    self.pids.add(worker.process.pid)
                    try:
                        left = await self._use(worker, left)
                    finally:
                        self.pids.discard(worker.process.pid)
            except Unavailable as error:
                log.warning("reader.failed", reason=str(error))
                self._refuse(error, left)
                left = None
                await asyncio.sleep(_PAUSE_S)

    async def _use(self, worker: "_Worker", job: "_Job | None") -> "_Job | None":
        """Read mails until the worker is worn out or gone; the mail to try again, if there is one."""
        for _ in range(_RECYCLE_MAILS):
            job = job or await self._jobs.get()
            if not job.answer.done():  # else nobody waits for it any more
                reading, is_well = await self._read(worker, job)
                if reading is None:
                    return _Job(job.content, job.answer, tries=job.tries + 1)
                job.give(reading)
                if not is_well:
                    return None
            job = None
        return None

    async def _read(self, worker: "_Worker", job: "_Job") -> tuple[Reading | None, bool]:
        """The reading and whether the worker is good for another; no reading when it died of something else than this mail."""
        try:
            async with asyncio.timeout(self._limits.wall_s):
                return await worker.read(job.content), True
        except TimeoutError:
            trouble = f"reading took longer than {self._limits.wall_s:g} s"
        except (_Gone, ConnectionError):
            code = await worker.end()
            if not job.tries and code != -signal.SIGXCPU:
                return None, False
            trouble = _last_words(code, self._limits)
        except (ValidationError, _Nonsense):
            trouble = "the reading worker answered nonsense"
        log.warning("reader.replaced", reason=trouble, size_bytes=len(job.content))
        return Reading(parse_head(job.content, trouble=trouble)), False

    def _refuse(self, error: Unavailable, left: "_Job | None") -> None:
        """No process to be had: tell those who wait, so that their senders come again."""
        waiting = [left] if left else []
        while not self._jobs.empty():
            waiting.append(self._jobs.get_nowait())
        for job in waiting:
            if not job.answer.done():
                job.answer.set_exception(error)


@dataclass(frozen=True)
class _Job:
    content: bytes
    answer: asyncio.Future[Reading]
    tries: int = 0

    def give(self, reading: Reading) -> None:
        if not self.answer.done():
            self.answer.set_result(reading)


class _Gone(Exception):
    """The worker closed its pipe."""


class _Nonsense(Exception):
    """The worker said what no worker of ours says."""


@dataclass(frozen=True)
class _Worker:
    process: asyncio.subprocess.Process
    questions: asyncio.StreamWriter
    answers: asyncio.StreamReader

    async def read(self, content: bytes) -> Reading:
        self.questions.write(frames.frame(content))
        await self.questions.drain()
        mail = Mail.model_validate_json(await self.frame())
        contents = [await self.frame() for _ in mail.attachments]
        return Reading(mail, tuple(contents))

    async def frame(self) -> bytes:
        try:
            (length,) = frames.LENGTH.unpack(await self.answers.readexactly(frames.LENGTH.size))
            if length > frames.LARGEST_BYTES:
                raise _Nonsense
            return await self.answers.readexactly(length)
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


@contextlib.asynccontextmanager
async def _worker(limits: Limits) -> AsyncGenerator[_Worker]:
    """A warm worker; ended when left, whatever it is doing.

    Raises: Unavailable, when it does not start.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-I",
                "-m",
                "parvis.ingest_email.read.worker",
                str(limits.memory_bytes),
                str(limits.cpu_s),
            ),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={"LC_ALL": "C.UTF-8"},  # none of the service's environment: it holds secrets
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable("the reading worker does not start") from error
    assert process.stdin  # noqa: S101 (both were asked for)
    assert process.stdout  # noqa: S101
    worker = _Worker(process, process.stdin, process.stdout)
    try:
        try:
            async with asyncio.timeout(_START_S):
                if await worker.frame() != frames.HELLO:
                    raise Unavailable("the reading worker does not greet")
        except (TimeoutError, _Gone, _Nonsense) as error:
            raise Unavailable("the reading worker does not start") from error
        yield worker
    finally:
        await worker.end()


def _last_words(code: int, limits: Limits) -> str:
    name = signal.Signals(-code).name if code < 0 else f"exit {code}"
    return (
        f"reading needs more than {limits.cpu_s} s of processor time"
        if name == "SIGXCPU"
        else f"the reading worker stopped ({name})"
    )
