"""Starts one worker process, sends it jobs, reads its frames and terminates it."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.sandbox import pipe_protocol
from parvis.common.runtime.sandbox.job_limits import ResourceLimits
from parvis.common.runtime.sandbox.pipe_protocol import END, HELLO, Frame

_START_S = 60.0  # loading Tesseract takes 0.3 s; a laptop that starts everything at once needs longer
# None of the service's environment: it holds secrets. Tesseract's threads only slow its neighbours down.
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "OMP_THREAD_LIMIT": "1", "OPENBLAS_NUM_THREADS": "1"}
_BUFFER_BYTES = 1024 * 1024
_MAX_SINGLE_WRITE_BYTES = 64 * 1024


class ChildExited(Exception):
    """The worker closed its pipe."""


class ProtocolViolation(Exception):
    """The worker sent a frame that the protocol does not allow."""


@dataclass(frozen=True)
class ChildProcess:
    """A process that has reported that it is ready."""

    process: asyncio.subprocess.Process
    questions: asyncio.StreamWriter
    answers: asyncio.StreamReader

    @property
    def has_exited(self) -> bool:
        return self.answers.at_eof() or self.process.returncode is not None

    async def send_job(self, job: Iterable[Frame]) -> None:
        pieces = [*pipe_protocol.encode_frames([*job, (END, b"")])]
        if sum(map(len, pieces)) <= _MAX_SINGLE_WRITE_BYTES:
            pieces = [b"".join(pieces)]  # one system call, and the worker wakes once
        for piece in pieces:
            self.questions.write(piece)
            await self.questions.drain()

    async def read_frame(self, max_bytes: int) -> Frame:
        """The next frame.

        Raises: ChildExited; ProtocolViolation, for a frame over `max_bytes`.
        """
        try:
            kind, length = pipe_protocol.HEADER.unpack(await self.answers.readexactly(pipe_protocol.HEADER.size))
            if length > max_bytes:
                raise ProtocolViolation
            return kind, await self.answers.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise ChildExited from error

    async def terminate(self) -> int:
        """Kill it and what it started; give the code or the signal that it ended with. Being cancelled does not stop it."""
        ending = asyncio.ensure_future(self._end())
        try:
            return await asyncio.shield(ending)
        except asyncio.CancelledError:
            await ending
            raise

    async def _end(self) -> int:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # Not Process.kill(): it polls, takes the exit status, and leaves asyncio's watcher with 255.
            if self.process.returncode is None:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.questions.close()
        with contextlib.suppress(ConnectionError):
            while await self.answers.read(_BUFFER_BYTES):  # the pipe must end before asyncio lets go of it
                pass
        return await self.process.wait()


@contextlib.asynccontextmanager
async def start_child(
    module: str, limits: ResourceLimits, arguments: Sequence[str], *, task: str
) -> AsyncGenerator[ChildProcess]:
    """Start a worker and wait until it is warm; it is terminated at the end of the block, whatever it is doing.

    Shape:  a module's dotted name, or the path of its file.
    Raises: Unavailable, when it does not start.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-B", *([module] if module.endswith(".py") else ["-m", module])),
            *(str(limits.memory_bytes), str(limits.cpu_s), *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=_ENVIRONMENT,
            start_new_session=True,
            limit=_BUFFER_BYTES,
        )
    except OSError as error:
        raise Unavailable(f"the {task} worker does not start") from error
    assert process.stdin  # noqa: S101 (both were asked for)
    assert process.stdout  # noqa: S101
    worker = ChildProcess(process, process.stdin, process.stdout)
    try:
        await _await_hello(worker, task)
        yield worker
    finally:
        await worker.terminate()


async def _await_hello(worker: ChildProcess, task: str) -> None:
    try:
        async with asyncio.timeout(_START_S):
            kind, reason = await worker.read_frame(1000)
    except (TimeoutError, ChildExited, ProtocolViolation) as error:
        raise Unavailable(f"the {task} worker does not start") from error
    if kind != HELLO:
        raise Unavailable(f"the {task} worker does not start ({reason.decode(errors='replace')})")
