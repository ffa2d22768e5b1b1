"""Runs jobs in a pool of sandboxed worker processes, one job at a time each, in the order of asking."""

import asyncio
import contextlib
import itertools
import signal
from collections.abc import AsyncGenerator, Generator, Sequence
from dataclasses import dataclass, field

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.logs import logger
from parvis.common.runtime.sandbox.child_process import ChildExited, ChildProcess, ProtocolViolation, start_child
from parvis.common.runtime.sandbox.job_limits import ResourceLimits
from parvis.common.runtime.sandbox.memory_isolation import isolate_process
from parvis.common.runtime.sandbox.pipe_protocol import END, FATAL, TROUBLE, Frame

log = logger()
_PAUSE_S = 1.0
_STARTING_S = 10.0  # what those who ask while a worker starts wait longer
_MAX_TROUBLE_CHARACTERS = 200


@dataclass(frozen=True)
class SandboxResult:
    """A worker's answers to a job: all of them, or those before `trouble`."""

    frames: tuple[Frame, ...] = ()
    trouble: str | None = None  # why it ended early, in words for an agent


class SandboxPool:
    """Worker processes for the jobs of one module, kept warm while the block of `running` lasts.

    Shape:  task, what the workers do, such as "reading" or "classification": messages and troubles name it.
    Gives:  a SandboxResult, whatever the bytes: of a worker that crashes, is killed, answers nonsense or takes too long, the
            frames that it had sent, and `trouble`.
    Raises: Unavailable, when no worker starts on this machine now, none is free in time, or none runs any more.
    Retry:  a job whose worker died, but not of its limits, is given to a fresh worker, once.
    Cancel: a caller that goes away gives up its place; a worker that has begun finishes, and the next job waits for it.
    """

    def __init__(
        self,
        module: str,
        *,
        task: str,
        count: int,
        limits: ResourceLimits,
        arguments: Sequence[str] = (),
        max_answers: int,
        recycled_after: int = 1000,  # what parsers leak goes with the process
    ) -> None:
        self._module, self._arguments = module, tuple(arguments)
        self._task = task
        self._count, self._limits = count, limits
        self._max_answers, self._recycled_after = max_answers, recycled_after
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count()
        self._waiting: asyncio.PriorityQueue[tuple[int, _Job]] = asyncio.PriorityQueue()
        self._open_jobs: set[_Job] = set()
        self._is_running = False
        self.pids: set[int] = set()

    async def run_job(self, *frames: Frame) -> SandboxResult:
        """Run one job, whose frames have a kind of one letter and bytes each."""
        if not self._is_running:
            raise Unavailable(f"no {self._task} worker runs")
        job = _Job(next(self._numbers), frames)
        self._open_jobs.add(job)
        self._waiting.put_nowait((job.number, job))
        try:
            async with asyncio.timeout(2 * self._limits.wall_s + _STARTING_S):
                await job.begun.wait()
        except TimeoutError as error:
            raise Unavailable(f"no {self._task} worker is free") from error
        else:
            return _result_or_raise(await job.answer)
        finally:
            self._open_jobs.discard(job)
            job.answer.cancel()  # a worker that finds it in the queue skips it; already done when all went well

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Keep the workers while the block lasts; jobs that still wait at its end fail with Unavailable."""
        self._is_running = True
        isolate_process()
        async with asyncio.TaskGroup() as group:
            for _ in range(self._count):
                self._start_worker(group, asyncio.Event())
            try:
                yield
            finally:
                self._is_running = False
                for task in self._tasks:
                    task.cancel()
                self._fail_waiting_jobs(f"no {self._task} worker runs")

    def _start_worker(self, group: asyncio.TaskGroup, arrived: asyncio.Event) -> None:
        task = group.create_task(self._run_workers(group, arrived))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_workers(self, group: asyncio.TaskGroup, arrived: asyncio.Event) -> None:
        """Run one worker after another, until a successor has taken over."""
        while True:
            try:
                async with start_child(self._module, self._limits, self._arguments, task=self._task) as worker:
                    arrived.set()
                    with self._registered(worker.process.pid):
                        if await self._serve_jobs(worker, group):
                            return
            except Unavailable as error:
                log.warning("sandbox-worker.failed", worker=self._module, reason=str(error))
                if not self.pids:
                    self._fail_waiting_jobs(str(error))  # their callers come again
                await asyncio.sleep(_PAUSE_S)

    @contextlib.contextmanager
    def _registered(self, pid: int) -> Generator[None]:
        self.pids.add(pid)
        try:
            yield
        finally:
            self.pids.discard(pid)

    async def _serve_jobs(self, worker: ChildProcess, group: asyncio.TaskGroup) -> bool:
        """Run jobs until the worker has exited, or is due for recycling and its successor has started. Gives whether it has.

        To start one takes seconds on a busy machine: no job waits for that.
        """
        successor: asyncio.Event | None = None
        for done in itertools.count(1):
            _, job = await self._waiting.get()
            if worker.has_exited:
                self._waiting.put_nowait((job.number, job))
                break
            if not job.answer.done() and not await self._run_on(worker, job):
                break
            if done >= self._recycled_after and not successor:
                successor = asyncio.Event()
                self._start_worker(group, successor)
            if successor and successor.is_set():
                break
        return successor is not None

    async def _run_on(self, worker: ChildProcess, job: "_Job") -> bool:
        """Run one job. Gives whether the worker can take another."""
        job.begun.set()
        frames: list[Frame] = []
        try:
            async with asyncio.timeout(self._limits.wall_s):
                await worker.send_job(job.frames)
                kind, last = await self._read_answers(worker, frames)
            trouble = last.decode(errors="replace")[:_MAX_TROUBLE_CHARACTERS] or None
            if kind == FATAL:
                trouble = f"{self._task} {trouble}"
            job.give(SandboxResult(tuple(frames), trouble))
            return kind != FATAL
        except TimeoutError:
            trouble = f"{self._task} took longer than {self._limits.wall_s:g} s"
        except ProtocolViolation:
            trouble = f"the {self._task} worker answered nonsense"
        except (ChildExited, ConnectionError):
            code = await worker.terminate()
            if job.should_retry(code):
                self._waiting.put_nowait((job.number, job))  # its number is the lowest: it is next
                return False
            trouble = self._describe_exit(code)
        log.warning("sandbox-worker.replaced", worker=self._module, reason=trouble)
        job.give(SandboxResult(tuple(frames), trouble))
        return False

    async def _read_answers(self, worker: ChildProcess, frames: list[Frame]) -> Frame:
        """Collect the worker's answers up to its last frame."""
        room = self._limits.answer_bytes
        while True:
            kind, payload = await worker.read_frame(room)
            if kind in (END, TROUBLE, FATAL):
                return kind, payload
            room -= len(payload)
            if len(frames) == self._max_answers or not kind.isalpha():
                raise ProtocolViolation
            frames.append((kind, payload))

    def _fail_waiting_jobs(self, reason: str) -> None:
        for job in self._open_jobs:
            job.give(Unavailable(reason))

    def _describe_exit(self, code: int) -> str:
        if code == -signal.SIGXCPU:
            return f"{self._task} needs more than {self._limits.cpu_s} s of processor time"
        name = signal.Signals(-code).name if code < 0 else f"exit {code}"
        return f"the {self._task} worker stopped ({name})"


@dataclass(eq=False)
class _Job:
    number: int
    frames: tuple[Frame, ...]
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    answer: asyncio.Future[SandboxResult | Unavailable] = field(default_factory=asyncio.Future)
    tries: int = 0

    def give(self, answer: SandboxResult | Unavailable) -> None:
        self.begun.set()
        if not self.answer.done():
            self.answer.set_result(answer)

    def should_retry(self, code: int) -> bool:
        """Retry once, and never a job that used up its processor time."""
        self.tries += 1
        return self.tries == 1 and code != -signal.SIGXCPU and not self.answer.done()


def _result_or_raise(answer: SandboxResult | Unavailable) -> SandboxResult:
    if isinstance(answer, Unavailable):
        raise answer
    return answer
