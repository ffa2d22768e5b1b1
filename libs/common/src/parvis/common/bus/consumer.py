"""Records out of Kafka in batches, each brought to an end: handled, or dead with its bytes; nothing is skipped."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import msgspec

from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.bus.dead_letters import ConsumerHalt, DeadLetterLimit, build_dead_letter
from parvis.common.bus.group_membership import FetchedBatch, GroupMembership
from parvis.common.bus.partition_growth import PartitionGrowthBarrier
from parvis.common.bus.producer import Producer
from parvis.common.contract.errors import Poison, Unavailable
from parvis.common.contract.event import Event
from parvis.common.runtime import metrics
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger

log = logger()
HANDLER_LIMIT_S = 60.0
STALLED_AFTER_S = 90.0
BRAKE_LOOKED_AT_EVERY_S = 2.0


class DecodedRecord(msgspec.Struct, frozen=True, gc=False):
    """One decoded record: the event, and the record it came in."""

    event: Event
    record: ReceivedRecord


HandleBatch = Callable[[Sequence[DecodedRecord]], Awaitable[None]]


class Consumer:
    """One member of a service's consumer group.

    The handler gets a batch in the order of each partition, from several partitions at once. It must be idempotent:
    returning normally lets the offsets be committed, and a crash before that brings the batch again.

    Handler raises: Unavailable: all partitions are paused, polling goes on, the batch is tried again with back-off.
                    Poison or anything unexpected: the batch is tried record by record, and what still fails goes
                    to the dead letters with its original bytes. Past the limit the consumer stands still, and
                    still does after a restart, until `parvis dead-letters resume`.
    Order:          within a partition; a record is never begun before the one before it is finished.
    Start:          a partition without a committed offset begins at 0; if its log no longer starts at 0, or the
                    committed offset is gone, the process stops and says what is missing (auto.offset.reset=none).
    Growth:         with a barrier, a topic may get more partitions while records flow: a key's order is kept.
    """

    def __init__(  # noqa: PLR0913 (its wiring, once, in app)
        self,
        bootstrap: str,
        *,
        service: str,
        topics: Sequence[str],
        types: tuple[type[Event], ...],
        handle: HandleBatch,
        producer: Producer,
        dead_letter_topic: str,
        brake: ConsumerHalt,
        health: Health,
        batch: int = 500,
        session_timeout_s: float = 10.0,
        swift: tuple[type[Event], ...] = (),
        metadata_age_s: float = 30.0,
        barrier: PartitionGrowthBarrier | None = None,
    ) -> None:
        self._service = service
        self._swift = swift
        self._types = types
        self._handle = handle
        self._producer = producer
        self._dead_letter_topic = dead_letter_topic
        self._brake = brake
        self._health = health
        self._batch = batch
        self._limit = DeadLetterLimit()
        self._moved_at: float | None = None
        self._braked_at = 0.0
        self._group = GroupMembership(
            bootstrap,
            service=service,
            topics=list(topics),
            session_timeout_s=session_timeout_s,
            metadata_age_s=metadata_age_s,
            barrier=barrier,
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until the service stops."""
        try:
            await self._join(stopping)
            while not stopping.is_set():
                await self._turn(stopping)
            await self._settle(stopping, most=0)
        finally:
            await self._group.leave()

    async def watch(self, stopping: asyncio.Event) -> None:
        """End the process when nothing moves although the world is well: a consumer can live and be deaf (#1154, #847)."""
        while not stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), 5)
            still_s = time.monotonic() - self._moved_at if self._moved_at else 0.0
            if still_s > STALLED_AFTER_S and not self._group.is_paused:
                self._health.dead = f"consumer has not moved for {still_s:.0f} s"
                log.error("consumer.stalled", elapsed_ms=int(still_s * 1000))
                raise Unavailable(self._health.dead)

    async def _join(self, stopping: asyncio.Event) -> None:
        wait_s = 0.5
        while not stopping.is_set():
            try:
                await self._group.join()
            except Unavailable as error:
                self._waiting(error, wait_s)
            else:
                self._health.mark_ok("consumer")
                self._moved_at = time.monotonic()
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), wait_s)
            wait_s = min(wait_s * 2, 5)

    async def _turn(self, stopping: asyncio.Event) -> None:
        try:
            fetched = await self._group.fetch(most=self._batch)
        except Unavailable as error:
            self._waiting(error, 1)
            await asyncio.sleep(1)
            return
        self._moved_at = time.monotonic()
        self._health.mark_ok("consumer")
        if fetched.records:
            self._group.idle.clear()
        await self._bring_to_end(fetched, stopping)
        await self._stand_still_if_halted(stopping)

    async def _bring_to_end(self, fetched: FetchedBatch, stopping: asyncio.Event) -> None:
        try:
            if fetched.records and await self._finish(fetched.records, stopping):
                await self._group.commit(fetched)
        finally:
            self._group.idle.set()

    async def _settle(self, stopping: asyncio.Event, *, most: int) -> None:
        """Wait until so many batches are under way at most: here one is finished before the next is fetched."""

    def _item(self, received: ReceivedRecord) -> DecodedRecord:
        """Raises: Poison."""
        return DecodedRecord(received.event(self._types, fast_models=self._swift), received)

    async def _finish(self, records: list[ReceivedRecord], stopping: asyncio.Event) -> bool:
        """Bring every record to an end: handled or dead. False when the service stops first."""
        items: list[DecodedRecord] = []
        for received in records:
            try:
                items.append(self._item(received))
            except Poison as poison:
                if not await self._bury(received, str(poison), stopping):
                    return False
        if items and not await self._handle_all(items, stopping):
            return False
        for received in records:
            metrics.records_handled.labels(received.topic).inc()
        return True

    async def _handle_all(self, items: list[DecodedRecord], stopping: asyncio.Event) -> bool:
        try:
            if not await self._through(lambda: self._handle(items), stopping):
                return False
        except Exception as error:  # noqa: BLE001 (a defect of ours must not stop the partition; the dead letter says what it was)
            return await self._one_by_one(items, error, stopping)
        self._limit.count_handled(len(items))
        return True

    async def _one_by_one(self, items: list[DecodedRecord], error: Exception, stopping: asyncio.Event) -> bool:
        """Find the record that spoils its batch, half by half; alone, it is a dead letter."""
        if len(items) > 1:
            middle = len(items) // 2
            return await self._handle_all(items[:middle], stopping) and await self._handle_all(items[middle:], stopping)
        reason = str(error) if isinstance(error, Poison) else f"{type(error).__name__} in the handler"
        if not isinstance(error, Poison):
            log.error("record.failed", exc_info=error)
        return await self._bury(items[0].record, reason, stopping)

    async def _bury(self, received: ReceivedRecord, reason: str, stopping: asyncio.Event) -> bool:
        letter = build_dead_letter(received, topic=self._dead_letter_topic, reason=reason)
        if not await self._through(lambda: self._producer.send(letter), stopping):
            return False
        metrics.dead_letters.labels(self._service).inc()
        log.error(
            "record.dead_lettered",
            topic=received.topic, partition=received.partition, offset=received.offset, reason=reason,
        )  # fmt: skip
        self._limit.count(dead=True)
        if not self._limit.is_reached:
            return True
        self._limit = DeadLetterLimit()
        return await self._through(lambda: self._brake.halt(f"too many dead letters, the last: {reason}"), stopping)

    async def _through(self, step: Callable[[], Awaitable[None]], stopping: asyncio.Event) -> bool:
        """Do a step, however long the world is down: paused, polling, backing off. False when the service stops."""
        wait_s = 0.25
        try:
            while not stopping.is_set():
                try:
                    async with asyncio.timeout(HANDLER_LIMIT_S):
                        await step()
                    self._health.mark_ok("consumer")
                    return True
                except (Unavailable, TimeoutError) as error:
                    self._waiting(error, wait_s)
                await self._hold(wait_s)
                wait_s = min(wait_s * 2, 10.0)
            return False
        finally:
            self._release()

    async def _stand_still_if_halted(self, stopping: asyncio.Event) -> None:
        """While the brake is on: paused and polling, visible on /ready. Looked at now and then, and at the start."""
        if time.monotonic() - self._braked_at < BRAKE_LOOKED_AT_EVERY_S:
            return
        try:
            while not stopping.is_set() and (why := await self._brake_reason(stopping)):
                self._health.mark_failing("dead-letters", f"stopped: {why}; release with `parvis dead-letters resume`")
                await self._hold(BRAKE_LOOKED_AT_EVERY_S)
            self._health.mark_ok("dead-letters")
        finally:
            self._release()

    async def _brake_reason(self, stopping: asyncio.Event) -> str | None:
        why: str | None = None

        async def look() -> None:
            nonlocal why
            why = await self._brake.reason()

        await self._through(look, stopping)
        self._braked_at = time.monotonic()
        return why

    def _waiting(self, error: Exception, wait_s: float) -> None:
        reason = str(error) or f"a batch took over {HANDLER_LIMIT_S:.0f} s"
        self._health.mark_failing("consumer", reason)
        log.warning("consumer.waiting", reason=reason, wait_s=wait_s)

    async def _hold(self, seconds: float) -> None:
        metrics.consumer_waiting.labels(self._service).set(1)
        await self._group.pause(seconds)

    def _release(self) -> None:
        if self._group.is_paused:
            self._group.resume()
            metrics.consumer_waiting.labels(self._service).set(0)
            self._moved_at = time.monotonic()
