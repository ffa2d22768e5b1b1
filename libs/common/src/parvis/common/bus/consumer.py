"""Consumes a service's topics: fetches batches, has every record handled or dead-lettered, commits."""

import asyncio
import time

from parvis.common.bus.batch_pipelining import AnyStages, BatchPipeline
from parvis.common.bus.batch_processor import BatchProcessor, HandleBatch
from parvis.common.bus.dead_letters import ConsumerHaltStore
from parvis.common.bus.group_membership import FetchedBatch, GroupMembership
from parvis.common.bus.partition_growth import PartitionGrowthBarrier
from parvis.common.bus.producer import Producer
from parvis.common.bus.subscription import Subscription
from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.backoff import Backoff
from parvis.common.runtime.health import Health
from parvis.common.runtime.interruptible_waits import sleep_unless_stopped
from parvis.common.runtime.logs import logger

log = logger()
_STALLED_AFTER_S = 90.0
_STALL_CHECK_INTERVAL_S = 5.0
_HALT_CHECK_INTERVAL_S = 2.0
_FIRST_JOIN_RETRY_S, _LONGEST_JOIN_RETRY_S = 0.5, 5.0


class Consumer:
    """One member of a service's consumer group.

    The handler gets a batch from several partitions, in the order of each. It must be idempotent: offsets are committed
    after it returns, and after a crash before that it gets the batch again.

    Handler raises: Unavailable: partitions are paused, polling continues, and the batch is retried with back-off.
                    Poison or anything else: the batch is halved until the failing record is alone, and that record
                    is dead-lettered with its original bytes. Past the limit the consumer halts, also after a
                    restart, until `parvis dead-letters resume`.
    Order:          within a partition, a record begins after the previous one has finished.
    Stages:         with stages, up to three batches overlap (see BatchPipeline); after a failure the handler is used.
    Start:          a partition without a committed offset begins at 0. If its log no longer starts at 0, or the
                    committed offset is gone, the process stops and names the lost offsets (auto.offset.reset=none).
    Growth:         with a barrier, keys stay in order when a topic gets more partitions.
    """

    def __init__(
        self,
        subscription: Subscription,
        *,
        handle: HandleBatch,
        producer: Producer,
        halt: ConsumerHaltStore,
        health: Health,
        barrier: PartitionGrowthBarrier | None = None,
        stages: AnyStages | None = None,
    ) -> None:
        self._batch_size = subscription.batch_size
        self._halt = halt
        self._health = health
        self._group = GroupMembership(subscription, barrier=barrier)
        self._processor = BatchProcessor(subscription, handle, producer, halt, health, self._group)
        self._pipeline = BatchPipeline(stages, self._processor) if stages else None
        self._halt_checked_at = 0.0

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until the service stops; started batches are finished."""
        try:
            await self._join(stopping)
            while not stopping.is_set():
                await self._consume_batch(stopping)
            if self._pipeline:
                await self._pipeline.drain(stopping)
        finally:
            if self._pipeline:
                await self._pipeline.cancel()
            await self._group.leave()

    async def watch(self, stopping: asyncio.Event) -> None:
        """End the process if the consumer no longer fetches (aio-libs/aiokafka#1154, #847)."""
        while not await sleep_unless_stopped(stopping, _STALL_CHECK_INTERVAL_S):
            progressed_at = self._group.progressed_at
            stalled_s = time.monotonic() - progressed_at if progressed_at else 0.0
            if stalled_s > _STALLED_AFTER_S and not self._group.is_paused:
                self._health.dead = f"consumer has not fetched for {stalled_s:.0f} s"
                log.error("consumer.stalled", elapsed_ms=int(stalled_s * 1000))
                raise Unavailable(self._health.dead)

    async def _join(self, stopping: asyncio.Event) -> None:
        backoff = Backoff(_FIRST_JOIN_RETRY_S, _LONGEST_JOIN_RETRY_S)
        while not stopping.is_set():
            try:
                await self._group.join()
            except Unavailable as error:
                wait_s = backoff.next_wait_s()
                self._processor.report_waiting(error, wait_s)
                await sleep_unless_stopped(stopping, wait_s)
            else:
                self._health.mark_ok("consumer")
                return

    async def _consume_batch(self, stopping: asyncio.Event) -> None:
        try:
            fetched = await self._group.fetch(max_records=self._batch_size)
        except Unavailable as error:
            self._processor.report_waiting(error, 1)
            await sleep_unless_stopped(stopping, 1)
            return
        self._health.mark_ok("consumer")
        if fetched.records:
            self._group.idle.clear()
        if self._pipeline:
            await self._pipeline.submit(fetched, stopping)
        else:
            await self._process_and_commit(fetched, stopping)
        await self._wait_while_halted(stopping)

    async def _process_and_commit(self, fetched: FetchedBatch, stopping: asyncio.Event) -> None:
        try:
            if fetched.records and await self._processor.process(fetched.records, stopping):
                await self._group.commit(fetched)
        finally:
            self._group.idle.set()

    async def _wait_while_halted(self, stopping: asyncio.Event) -> None:
        """Pause while the consumer is halted; it keeps polling, and /ready shows the reason."""
        if time.monotonic() - self._halt_checked_at < _HALT_CHECK_INTERVAL_S:
            return
        try:
            while not stopping.is_set() and (reason := await self._halt_reason(stopping)):
                self._health.mark_failing(
                    "dead-letters", f"halted: {reason}; after fixing the cause, run `parvis dead-letters resume`"
                )
                await self._processor.pause(_HALT_CHECK_INTERVAL_S)
            self._health.mark_ok("dead-letters")
        finally:
            self._processor.resume()

    async def _halt_reason(self, stopping: asyncio.Event) -> str | None:
        """Read why the consumer is halted; None if it is not, or if the service stops before PostgreSQL answers."""
        reason: str | None = None

        async def read_reason() -> None:
            nonlocal reason
            reason = await self._halt.reason()

        await self._processor.retry_while_unavailable(read_reason, stopping)
        self._halt_checked_at = time.monotonic()
        return reason
