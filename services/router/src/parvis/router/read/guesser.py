"""Texts that no rule decided in, a model's guesses out: in time, or none."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime import metrics
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.common.runtime.sandbox.pool import SandboxPool, SandboxResult
from parvis.common.runtime.sandbox.resource_limits import ResourceLimits
from parvis.router.decide.guessing import Guess, Guesses
from parvis.router.read.frames import GUESS, GUESSES, MODEL, MOST_AT_ONCE, TEXT, UNKNOWN

log = logger()

LIMIT_S = 2.0  # a batch; whoever wrote the next ones waits no longer for it
_TEXTS_A_JOB = 4  # 0.3 s: what came before the time was up is kept
_REST_S = 15.0  # after a batch that got no guess at all
_LIMITS = ResourceLimits(memory_bytes=1024**3, cpu_s=20, wall_s=20.0)
_WORKER = "parvis.router.read.worker"


@dataclass(frozen=True)
class Loaded:
    """A model that may be asked; `content` is what the process with it gets, once."""

    version: str
    threshold: float
    content: bytes


class Guesser(Protocol):
    """Asked by the consumer. `is_awake`: whether there is anybody to ask."""

    @property
    def is_awake(self) -> bool: ...

    async def __call__(self, texts: Sequence[str]) -> Sequence[Guesses | None]: ...


class Guessing:
    """One process with the model, while there is one.

    Gives:  guesses for each text, or none for it; within two seconds, whatever happens. What went wrong stands on /ready.
    Raises: nothing.
    """

    def __init__(
        self, health: Health, *, limit_s: float = LIMIT_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._health, self._limit_s, self._clock = health, limit_s, clock
        self._model: Loaded | None = None
        self._workers: SandboxPool | None = None
        self._changed = asyncio.Event()
        self._rests_until = 0.0

    @property
    def is_awake(self) -> bool:
        return self._model is not None and self._workers is not None and self._clock() >= self._rests_until

    @property
    def version(self) -> str | None:
        return self._model.version if self._model else None

    @property
    def pids(self) -> set[int]:
        return self._workers.pids if self._workers else set()

    def take(self, model: Loaded | None) -> None:
        """From now on this one is asked, or none."""
        self._model, self._rests_until = model, 0.0
        self._changed.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Keep a process for the model while there is one; without one there is no process."""
        async with asyncio.TaskGroup() as group:
            stop = group.create_task(stopping.wait())
            while not stopping.is_set():
                if self._model is None:
                    await self._until_changed(stop)
                    continue
                workers = SandboxPool(_WORKER, task="classification", count=1, limits=_LIMITS, max_answers=MOST_AT_ONCE)
                async with workers.running():
                    self._workers = workers
                    try:
                        while self._model and not stopping.is_set():
                            await self._until_changed(stop)
                    finally:
                        self._workers = None

    async def _until_changed(self, stop: "asyncio.Task[bool]") -> None:
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait((changed, stop), return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
        self._changed.clear()

    async def __call__(self, texts: Sequence[str]) -> Sequence[Guesses | None]:
        found: list[Guesses | None] = []
        model, workers = self._model, self._workers
        if model is None or workers is None or not self.is_awake:
            return [None] * len(texts)
        try:
            async with asyncio.timeout(self._limit_s):
                for start in range(0, len(texts), _TEXTS_A_JOB):
                    found += await _asked(workers, model, texts[start : start + _TEXTS_A_JOB])
        except TimeoutError:
            self._late(len(texts) - len(found), is_all=not found)
        except Unavailable as error:
            self._rest(str(error))
        else:
            self._health.notes.pop("model", None)
        _count(found, late=len(texts) - len(found))
        return found + [None] * (len(texts) - len(found))

    def _late(self, count: int, *, is_all: bool) -> None:
        why = f"{count} texts of a batch went to triage without a guess: there was no time"
        if is_all:
            self._rest(why)
        else:
            self._health.add_note("model", why)
            log.warning("model.overtaken", count=count, limit_s=self._limit_s)

    def _rest(self, why: str) -> None:
        self._rests_until = self._clock() + _REST_S
        self._health.add_note("model", why)
        log.warning("model.rested", reason=why, wait_s=_REST_S)


async def _asked(workers: SandboxPool, model: Loaded, texts: Sequence[str]) -> list[Guesses | None]:
    frames = [(TEXT, text.encode("utf-8", "replace")) for text in texts]
    head = (GUESS, model.version.encode())
    answer = await workers.run_job(head, *frames)
    if answer.frames and answer.frames[0][0] == UNKNOWN:  # a process that has just begun
        answer = await workers.run_job(head, (MODEL, model.content), *frames)
    guesses = [_read(model, payload) for kind, payload in answer.frames if kind == GUESSES]
    return [*guesses, *[None] * (len(texts) - len(guesses))] if guesses else _refused(answer)


def _refused(answer: SandboxResult) -> list[Guesses | None]:
    raise Unavailable(f"the model did not answer: {answer.trouble or 'it is not there'}")


def _read(model: Loaded, payload: bytes) -> Guesses | None:
    try:
        best = tuple(Guess(str(label), float(confidence)) for label, confidence in json.loads(payload))
    except (ValueError, TypeError):
        return None
    return Guesses(model.version, model.threshold, best)


def _count(found: Sequence[Guesses | None], *, late: int) -> None:
    sure = sum(bool(one and one.best and one.best[0].confidence >= one.threshold) for one in found)
    metrics.guesses.labels("sure").inc(sure)
    metrics.guesses.labels("unsure").inc(sum(one is not None for one in found) - sure)
    metrics.guesses.labels("none").inc(late + sum(one is None for one in found))
