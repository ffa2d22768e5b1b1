"""Classifies texts in a worker process, within a time limit for a whole batch."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import Counter

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime import metrics
from parvis.common.runtime.health import Health
from parvis.common.runtime.interruptible_waits import first_completed
from parvis.common.runtime.logs import logger
from parvis.common.runtime.sandbox.job_limits import ResourceLimits
from parvis.common.runtime.sandbox.pool import SandboxPool, SandboxResult
from parvis.router.decide.classifier.model_archive import InvalidModel, ModelArchive
from parvis.router.decide.classifier.predictions import ClassifierOutput
from parvis.router.sandbox.optional_work_budget import TimeBudget
from parvis.router.sandbox.protocol import (
    CLASSIFY,
    INVALID_MODEL,
    MAX_TEXTS_PER_JOB,
    MODEL,
    PREDICTIONS,
    TEXT,
    UNKNOWN_MODEL,
    decode_predictions,
)

log = logger()

BATCH_LIMIT_S = 2.0  # bounds how long the next batch waits for this one
_TEXTS_PER_JOB = 4  # about 0.3 s of work: results that arrive before the time limit count
_PAUSE_S = 15.0  # pause after a batch in which no text was classified
_LIMITS = ResourceLimits(memory_bytes=1024**3, cpu_s=20, wall_s=20.0)
_WORKER_MODULE = "parvis.router.sandbox.classifier_worker"


@dataclass(frozen=True)
class ClassifierTask:
    """What a classifier is for. `note`: its name on /ready; `unanswered`: what became of a text without an output."""

    note: str
    unanswered: str
    outcomes: Counter | None = None


DEPARTMENTS = ClassifierTask("classifier", "went to triage unclassified", metrics.guesses)
DANGERS = ClassifierTask("danger model", "were not searched for dangers")


class Classifier(Protocol):
    """The consumer's view of the classifier. `is_available`: whether a call can give predictions now."""

    @property
    def is_available(self) -> bool: ...

    async def classify(self, texts: Sequence[str]) -> Sequence[ClassifierOutput | None]: ...


class SandboxedClassifier:
    """Classifies texts in one worker process, which runs only while a model is active.

    Gives:  an output for each text; None for a text that was not classified, in time or at all. Failures appear on /ready.
    Raises: nothing.
    """

    def __init__(
        self,
        health: Health,
        *,
        task: ClassifierTask = DEPARTMENTS,
        limit_s: float = BATCH_LIMIT_S,
        budget: TimeBudget | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._health, self._task, self._limit_s, self._budget, self._clock = health, task, limit_s, budget, clock
        self._model: ModelArchive | None = None
        self._previous: ModelArchive | None = None
        self._pool: SandboxPool | None = None
        self._changed = asyncio.Event()
        self._paused_until = 0.0

    @property
    def is_available(self) -> bool:
        return self._model is not None and self._pool is not None and self._clock() >= self._paused_until

    @property
    def model_version(self) -> str | None:
        return self._model.version if self._model else None

    @property
    def worker_pids(self) -> set[int]:
        return self._pool.pids if self._pool else set()

    def use_model(self, model: ModelArchive | None) -> None:
        """Classify with this model from now on; None stops classifying. If the worker cannot read it, the previous model stays."""
        self._previous = self._model if model else None
        self._model, self._paused_until = model, 0.0
        self._health.notes.pop(self._task.note, None)
        self._changed.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Run a worker process while a model is active; stop it when none is."""
        while not stopping.is_set():
            if self._model is None:
                await self._until_changed(stopping)
                continue
            pool = SandboxPool(
                _WORKER_MODULE, task="classification", count=1, limits=_LIMITS, max_answers=MAX_TEXTS_PER_JOB
            )
            async with pool.running():
                self._pool = pool
                try:
                    while self._model and not stopping.is_set():
                        await self._until_changed(stopping)
                finally:
                    self._pool = None

    async def _until_changed(self, stopping: asyncio.Event) -> None:
        await first_completed(self._changed.wait(), stopping.wait())
        self._changed.clear()

    async def classify(self, texts: Sequence[str]) -> Sequence[ClassifierOutput | None]:
        outputs: list[ClassifierOutput | None] = []
        model, pool = self._model, self._pool
        if model is None or pool is None or not self.is_available:
            return [None] * len(texts)
        try:
            async with asyncio.timeout(self._limit_s):
                for start in range(0, len(texts), _TEXTS_PER_JOB):
                    with self._budget.spending() if self._budget else nullcontext(True) as has_time:
                        if not has_time:
                            break
                        outputs += await classify_job(pool, model, texts[start : start + _TEXTS_PER_JOB])
        except TimeoutError:
            self._report_timeout(len(texts) - len(outputs), is_all=not outputs)
        except Unavailable as error:
            self._pause(str(error))
        except InvalidModel as error:
            self._reject(model, str(error))
        else:
            self._health.notes.pop(self._task.note, None)
        if self._task.outcomes:
            _count_outcomes(self._task.outcomes, outputs, missing=len(texts) - len(outputs))
        return outputs + [None] * (len(texts) - len(outputs))

    def _report_timeout(self, count: int, *, is_all: bool) -> None:
        reason = f"{count} texts of a batch {self._task.unanswered}: the time limit of {self._limit_s:g} s was over"
        if is_all:
            self._pause(reason)
        else:
            self._health.add_note(self._task.note, reason)
            log.warning("classification.timed_out", count=count, limit_s=self._limit_s)

    def _pause(self, reason: str) -> None:
        self._paused_until = self._clock() + _PAUSE_S
        self._health.add_note(self._task.note, reason)
        log.warning("classifier.paused", reason=reason, wait_s=_PAUSE_S)

    def _reject(self, model: ModelArchive, reason: str) -> None:
        if self._model is model:
            self.use_model(self._previous)
        decides_now = f"{self._model.version} stays active" if self._model else "no model decides"
        self._health.add_note("model", f"{model.version} is refused: {reason}; {decides_now}")
        log.warning("model.refused", version=model.version, reason=reason)


async def classify_job(pool: SandboxPool, model: ModelArchive, texts: Sequence[str]) -> list[ClassifierOutput | None]:
    """Classify a few texts as one job of the worker.

    Gives:  an output for each text, in order; None for one that the worker skipped or answered with invalid bytes.
    Raises: Unavailable, when no text was answered, or there are more answers than texts; InvalidModel.
    """
    frames = [(TEXT, text.encode("utf-8", "replace")) for text in texts]
    request = (CLASSIFY, model.version.encode())
    result = await pool.run_job(request, *frames)
    if result.frames and result.frames[0][0] == UNKNOWN_MODEL:  # a worker that has just started
        result = await pool.run_job(request, (MODEL, model.content), *frames)
    return _parse_result(model, result, len(texts))


def _parse_result(model: ModelArchive, result: SandboxResult, count: int) -> list[ClassifierOutput | None]:
    if result.frames and result.frames[0][0] == INVALID_MODEL:
        raise InvalidModel(result.frames[0][1].decode(errors="replace"))
    payloads = [payload for kind, payload in result.frames if kind == PREDICTIONS]
    if not 0 < len(payloads) <= count:
        raise Unavailable(
            f"the worker gave {len(payloads)} answers for {count} texts: {result.trouble or 'no reason given'}"
        )
    decoded = [decode_predictions(payload) for payload in payloads]
    outputs = [ClassifierOutput(model.version, model.threshold, each) if each is not None else None for each in decoded]
    return [*outputs, *[None] * (count - len(outputs))]


def _count_outcomes(counter: Counter, outputs: Sequence[ClassifierOutput | None], *, missing: int) -> None:
    given = [output for output in outputs if output is not None]
    sure = sum(bool(each.predictions) and each.predictions[0].confidence >= each.threshold for each in given)
    counter.labels("sure").inc(sure)
    counter.labels("unsure").inc(len(given) - sure)
    counter.labels("none").inc(missing + len(outputs) - len(given))
