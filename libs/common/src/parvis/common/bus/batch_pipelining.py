"""Overlaps batches: while one is prepared, the rows and records of earlier ones are being written."""

import asyncio
import itertools
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from parvis.common.bus.batch_processor import HANDLER_TIMEOUT_S, BatchProcessor
from parvis.common.bus.cloudevents import DecodedRecord, Record
from parvis.common.bus.group_membership import FetchedBatch
from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.logs import logger

log = logger()
MAX_BATCHES = 3  # one being prepared, one writing rows, one sending records

PreparedBatch = TypeVar("PreparedBatch")


@dataclass(frozen=True)
class PipelineStages(Generic[PreparedBatch]):
    """A service's part in handling a batch; the bus decodes before, and sends and commits after.

    Shape:  `prepare` does everything without I/O; `store` writes rows and gives the records to send. Idempotent.
    Raises: as a consumer's handler; the batch then goes through the handler, which must have the same effect.
    """

    prepare: Callable[[Sequence[DecodedRecord]], PreparedBatch]
    store: Callable[[PreparedBatch], Awaitable[Sequence[Record]]]


AnyStages: TypeAlias = PipelineStages[Any]


@dataclass
class _BatchInFlight:
    number: int
    fetched: FetchedBatch
    task: "asyncio.Task[None]" = field(init=False)

    @property
    def is_done(self) -> bool:
        return self.task.done() and not self.task.cancelled() and self.task.exception() is None


class _EarlierBatchFailed(Exception):
    """An earlier batch failed; this one waits until that is processed again."""


class BatchPipeline:
    """Lets up to three batches of a consumer overlap.

    Order:   a batch writes its rows after the previous batch has written its own, and sends its records after the
             previous batch is acknowledged and committed.
    Failure: all started batches end first. Then the unfinished ones go through the BatchProcessor in order, with pauses,
             back-off, halving, dead letters and halt.
    Latency: a batch contains the records that are there; under low load it is small and starts at once.
    Tasks:   one per batch, awaited by `submit` and `drain`, or cancelled and awaited by `cancel`.
    """

    def __init__(self, stages: AnyStages, processor: BatchProcessor) -> None:
        self._stages = stages
        self._processor = processor
        self._group = processor.group
        self._in_flight: deque[_BatchInFlight] = deque()
        self._storing, self._sending = asyncio.Lock(), asyncio.Lock()  # fair: batches pass in their order
        self._numbers = itertools.count()
        self._first_failed: float = math.inf  # the number of a batch

    async def submit(self, fetched: FetchedBatch, stopping: asyncio.Event) -> None:
        """Start a batch, then wait until another one may start."""
        if fetched.records:
            batch = _BatchInFlight(next(self._numbers), fetched)
            batch.task = asyncio.create_task(self._run(batch), name=f"batch {batch.number}")
            batch.task.add_done_callback(self._mark_idle_if_all_done)
            self._in_flight.append(batch)
        await self._remove_done(stopping, max_left=MAX_BATCHES - 1)

    async def drain(self, stopping: asyncio.Event) -> None:
        """Wait until all batches are finished."""
        await self._remove_done(stopping, max_left=0)

    async def cancel(self) -> None:
        """Cancel the unfinished batches and wait for their end; their records are fetched again."""
        for batch in self._in_flight:
            batch.task.cancel()
        await asyncio.gather(*(batch.task for batch in self._in_flight), return_exceptions=True)

    async def _remove_done(self, stopping: asyncio.Event, *, max_left: int) -> None:
        while self._in_flight and (len(self._in_flight) > max_left or self._in_flight[0].task.done()):
            first = self._in_flight[0]
            await asyncio.wait([first.task])
            if not first.is_done:
                await self._process_in_turn(stopping)
                return
            self._in_flight.popleft()

    async def _run(self, batch: _BatchInFlight) -> None:
        try:
            async with asyncio.timeout(HANDLER_TIMEOUT_S):
                prepared = self._stages.prepare([self._processor.decode(r) for r in batch.fetched.records])
                async with self._storing:
                    self._raise_if_earlier_failed(batch)
                    records = await self._stages.store(prepared)
                del prepared  # frees the memory while the records are sent
                async with self._sending:
                    self._raise_if_earlier_failed(batch)
                    await self._processor.producer.send_all(records)
                    await self._group.commit(batch.fetched)
        except BaseException:
            self._first_failed = min(self._first_failed, batch.number)
            raise
        self._processor.count_handled(batch.fetched.records)

    def _raise_if_earlier_failed(self, batch: _BatchInFlight) -> None:
        if self._first_failed < batch.number:
            raise _EarlierBatchFailed

    async def _process_in_turn(self, stopping: asyncio.Event) -> None:
        """Process the unfinished batches one after the other."""
        await asyncio.wait([batch.task for batch in self._in_flight])
        error = self._in_flight[0].task.exception()
        log.warning(
            "batches.retried_serially", reason=str(error) if isinstance(error, Unavailable) else type(error).__name__
        )
        while self._in_flight and not stopping.is_set():
            batch = self._in_flight[0]
            if not batch.is_done:
                if not await self._processor.process(batch.fetched.records, stopping):
                    return
                await self._group.commit(batch.fetched)
            self._in_flight.popleft()
        self._first_failed = math.inf
        self._group.idle.set()

    def _mark_idle_if_all_done(self, _: object) -> None:
        """Allow revocation when every batch is done; a failed batch is not done."""
        if all(batch.is_done for batch in self._in_flight):
            self._group.idle.set()
