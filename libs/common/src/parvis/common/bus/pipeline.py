"""Records out of Kafka, rows and records of the last batches on their way while the next is decided; in trouble, one step at a time."""

import asyncio
import itertools
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from parvis.common.bus.cloudevents import ReceivedRecord, Record
from parvis.common.bus.consumer import HANDLER_LIMIT_S, Consumer, DecodedRecord
from parvis.common.bus.group_membership import FetchedBatch
from parvis.common.contract.errors import Unavailable
from parvis.common.runtime import metrics
from parvis.common.runtime.logs import logger

log = logger()
MOST_UNDER_WAY = 3  # one at the rows, one at the records, one decided

PreparedBatch = TypeVar("PreparedBatch")


@dataclass(frozen=True)
class PipelineStages(Generic[PreparedBatch]):
    """What a service does with a batch; the bus decodes before, and sends and commits after.

    prepare: all that needs no waiting. store: the rows, then the records that follow from them; idempotent.
    Raise:   what a consumer's handler may raise; the batch then goes through the handler, which does the same.
    """

    prepare: Callable[[Sequence[DecodedRecord]], PreparedBatch]
    store: Callable[[PreparedBatch], Awaitable[Sequence[Record]]]


@dataclass
class _Batch:
    number: int
    fetched: FetchedBatch
    task: "asyncio.Task[None]" = field(init=False)

    @property
    def is_done(self) -> bool:
        return self.task.done() and not self.task.cancelled() and self.task.exception() is None


class _Broken(Exception):
    """A batch before this one failed: this one waits for it."""


class Pipeline(Consumer):
    """A consumer whose batches overlap.

    Order:   a batch's rows are begun when those of the one before it are stored, its records when those are
             acknowledged and committed.
    Trouble: whatever fails, the batches under way come to rest and then go, from the first that is not done, one after the
             other through the handler, as with any consumer: paused, backing off, record by record, dead letters, brake.
    Latency: a batch is what there is: with little to do it is small, and leaves at once.
    """

    def __init__(self, bootstrap: str, *, steps: PipelineStages[Any], **wiring: Any) -> None:
        super().__init__(bootstrap, **wiring)
        self._steps = steps
        self._under_way: deque[_Batch] = deque()
        self._storing, self._sending = asyncio.Lock(), asyncio.Lock()  # fair: batches pass in their order
        self._numbers = itertools.count()
        self._failed = math.inf  # the number of the first batch that did

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until the service stops; what is under way then is finished."""
        try:
            await super().run(stopping)
        finally:
            await self._end()

    async def _bring_to_end(self, fetched: FetchedBatch, stopping: asyncio.Event) -> None:
        """Let a batch begin its way, and wait where there is no room for another."""
        if fetched.records:
            batch = _Batch(next(self._numbers), fetched)
            batch.task = asyncio.create_task(self._along(batch))
            batch.task.add_done_callback(self._rest)
            self._under_way.append(batch)
        await self._settle(stopping, most=MOST_UNDER_WAY - 1)

    async def _settle(self, stopping: asyncio.Event, *, most: int) -> None:
        """Take off what is done, until so many are under way at most."""
        while self._under_way and (len(self._under_way) > most or self._under_way[0].task.done()):
            first = self._under_way[0]
            await asyncio.wait([first.task])
            if not first.is_done:
                await self._one_after_the_other(stopping)
                return
            self._under_way.popleft()

    async def _along(self, batch: _Batch) -> None:
        try:
            async with asyncio.timeout(HANDLER_LIMIT_S):
                work = self._steps.prepare([self._item(received) for received in batch.fetched.records])
                async with self._storing:
                    self._go_on(batch)
                    records = await self._steps.store(work)
                del work  # what is on its way to Kafka needs no decisions any more
                async with self._sending:
                    self._go_on(batch)
                    await self._producer.send_all(records)
                    await self._group.commit(batch.fetched)
        except BaseException:
            self._failed = min(self._failed, batch.number)
            raise
        self._finished(batch.fetched.records)

    def _go_on(self, batch: _Batch) -> None:
        if self._failed < batch.number:
            raise _Broken

    async def _one_after_the_other(self, stopping: asyncio.Event) -> None:
        """Bring what is under way to its end by the handler, whatever that takes."""
        await asyncio.wait([batch.task for batch in self._under_way])
        error = self._under_way[0].task.exception()
        log.warning("batch.failed", reason=str(error) if isinstance(error, Unavailable) else type(error).__name__)
        while self._under_way and not stopping.is_set():
            batch = self._under_way[0]
            if not batch.is_done:
                if not await self._finish(batch.fetched.records, stopping):
                    return
                await self._group.commit(batch.fetched)
            self._under_way.popleft()
        self._failed = math.inf
        self._group.idle.set()

    def _rest(self, _: object) -> None:
        """Partitions may move when nothing is under way; and nothing went wrong, for then it is not over."""
        if all(batch.is_done for batch in self._under_way):
            self._group.idle.set()

    async def _end(self) -> None:
        tasks = [batch.task for batch in self._under_way if not batch.task.done()]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError, Exception):
                await task

    def _finished(self, records: Sequence[ReceivedRecord]) -> None:
        for topic, count in Counter(received.topic for received in records).items():
            metrics.records_handled.labels(topic).inc(count)
        self._limit.count_handled(len(records))
