"""Records out of Kafka in batches, committed when they are finished and not before; nothing is skipped."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RecordTooLargeError,
)

from parvis.common import metrics
from parvis.common.bus.dead_letters import Brake, Limit, dead_letter
from parvis.common.bus.producer import Producer
from parvis.common.bus.records import Received
from parvis.common.contact import Event
from parvis.common.errors import Misconfigured, Poison, Unavailable
from parvis.common.health import Health
from parvis.common.logs import logger

log = logger()
HANDLER_LIMIT_S = 60.0
STALLED_AFTER_S = 90.0
REVOKE_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Item:
    """One decoded record: the event, and the record it came in."""

    event: Event
    received: Received


Handle = Callable[[Sequence[Item]], Awaitable[None]]


class Consumer(ConsumerRebalanceListener):
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
    """

    def __init__(  # noqa: PLR0913 (its wiring, once, in app)
        self,
        bootstrap: str,
        *,
        service: str,
        topics: Sequence[str],
        types: tuple[type[Event], ...],
        handle: Handle,
        producer: Producer,
        dead_letter_topic: str,
        brake: Brake,
        health: Health,
        batch: int = 500,
        session_timeout_s: float = 10.0,
    ) -> None:
        self._bootstrap = bootstrap
        self._service = service
        self._topics = list(topics)
        self._types = types
        self._handle = handle
        self._producer = producer
        self._dead_letter_topic = dead_letter_topic
        self._brake = brake
        self._health = health
        self._batch = batch
        # A killed member's partitions stand still until its session ends: short, for the citizens who wait behind it.
        self._session_timeout_ms = int(session_timeout_s * 1000)
        self._limit = Limit()
        self._held = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._moved_at = time.monotonic()
        self._kafka: Any = None  # AIOKafkaConsumer ships no types

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until the service stops."""
        try:
            if not await self._until_connected(stopping):
                return
            while not stopping.is_set():
                await self._turn(stopping)
        finally:
            await self._close()

    async def watch(self, stopping: asyncio.Event) -> None:
        """Say that the process is dead when there is work, the world is well, and nothing moves (#1154, #847)."""
        while not stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), 5)
            still_s = time.monotonic() - self._moved_at
            if self._kafka and not self._held and still_s > STALLED_AFTER_S:
                self._health.dead = f"consumer has not moved for {still_s:.0f} s"
                log.error("consumer.stalled", elapsed_ms=int(still_s * 1000))
                raise Unavailable(self._health.dead)

    async def _turn(self, stopping: asyncio.Event) -> None:
        batches = await self._fetch()
        self._moved_at = time.monotonic()
        if not batches:
            await self._stand_still_if_halted(stopping)
            return
        self._idle.clear()
        try:
            if await self._finish([r for records in batches.values() for r in records], stopping):
                await self._commit({tp: records[-1].offset + 1 for tp, records in batches.items()})
        finally:
            self._idle.set()
        await self._stand_still_if_halted(stopping)

    async def _finish(self, records: list[Received], stopping: asyncio.Event) -> bool:
        """Bring every record to an end: handled or dead. False when the service stops first."""
        items: list[Item] = []
        for received in records:
            try:
                items.append(Item(received.event(self._types), received))
            except Poison as poison:
                if not await self._bury(received, str(poison), stopping):
                    return False
        if items and not await self._handle_all(items, stopping):
            return False
        for received in records:
            metrics.records_handled.labels(received.topic).inc()
        return True

    async def _handle_all(self, items: list[Item], stopping: asyncio.Event) -> bool:
        reason = ""
        try:
            finished = await self._through(lambda: self._handle(items), stopping)
        except Poison as poison:
            finished, reason = False, str(poison)
        except Exception as error:
            finished, reason = False, f"{type(error).__name__} in the handler"
            log.exception("batch.failed", count=len(items))
        if finished:
            for _ in items:
                self._limit.count(dead=False)
            return True
        if not reason:
            return False
        if len(items) == 1:
            return await self._bury(items[0].received, reason, stopping)
        for item in items:
            if not await self._handle_all([item], stopping):
                return False
        return True

    async def _bury(self, received: Received, reason: str, stopping: asyncio.Event) -> bool:
        letter = dead_letter(received, topic=self._dead_letter_topic, reason=reason)
        if not await self._through(lambda: self._producer.send(letter), stopping):
            return False
        metrics.dead_letters.labels(self._service).inc()
        log.error(
            "record.dead_lettered",
            topic=received.topic,
            partition=received.partition,
            offset=received.offset,
            reason=reason,
        )
        self._limit.count(dead=True)
        if self._limit.reached:
            self._limit = Limit()
            why = f"too many dead letters, the last: {reason}"
            return await self._through(lambda: self._brake.pull(why), stopping)
        return True

    async def _through(self, step: Callable[[], Awaitable[None]], stopping: asyncio.Event) -> bool:
        """Do a step, however long the world is down: paused, polling, backing off. False when the service stops."""
        wait_s = 0.25
        try:
            while not stopping.is_set():
                try:
                    async with asyncio.timeout(HANDLER_LIMIT_S):
                        await step()
                    self._health.good("consumer")
                    return True
                except (Unavailable, TimeoutError) as error:
                    reason = str(error) or f"a batch took over {HANDLER_LIMIT_S:.0f} s"
                    self._health.bad("consumer", reason)
                    log.warning("consumer.waiting", reason=reason, wait_s=wait_s)
                    await self._wait_polling(wait_s)
                    wait_s = min(wait_s * 2, 10.0)
            return False
        finally:
            self._release()

    async def _wait_polling(self, wait_s: float) -> None:
        """Keep the membership alive without taking records: paused partitions give none."""
        self._held = True
        metrics.consumer_waiting.labels(self._service).set(1)
        self._kafka.pause(*self._kafka.assignment())
        ends_at = time.monotonic() + wait_s
        while (left_s := ends_at - time.monotonic()) > 0:
            try:
                strays = await self._kafka.getmany(timeout_ms=int(min(left_s, 1) * 1000))
            except NoOffsetForPartitionError:
                strays = {}
                await self._begin_at_zero()
            except (KafkaError, OSError):
                strays = {}
                await asyncio.sleep(min(left_s, 0.5))
            for tp, records in strays.items():  # assigned while we waited: given back, and paused as well
                self._kafka.seek(tp, records[0].offset)
                self._kafka.pause(tp)

    def _release(self) -> None:
        if self._held:
            self._held = False
            metrics.consumer_waiting.labels(self._service).set(0)
            self._moved_at = time.monotonic()
            with suppress(IllegalStateError):
                self._kafka.resume(*self._kafka.paused())

    async def _stand_still_if_halted(self, stopping: asyncio.Event) -> None:
        """While the brake is on: paused and polling, visible on /ready."""
        if not await self._is_halted(stopping):
            return
        try:
            while not stopping.is_set() and await self._is_halted(stopping):
                await self._wait_polling(2)
        finally:
            self._release()
            self._health.good("dead-letters")

    async def _is_halted(self, stopping: asyncio.Event) -> bool:
        if not self._brake_due():
            return self._health.parts.get("dead-letters") is not None
        why: str | None = None

        async def look() -> None:
            nonlocal why
            why = await self._brake.reason()

        if await self._through(look, stopping) and why:
            self._health.bad("dead-letters", f"stopped: {why}; release with `parvis dead-letters resume`")
            return True
        return False

    _braked_at = 0.0

    def _brake_due(self) -> bool:
        """The brake is looked at every two seconds, and at once at the start."""
        if time.monotonic() - self._braked_at < 2:
            return False
        self._braked_at = time.monotonic()
        return True

    async def _fetch(self) -> dict[TopicPartition, list[Received]]:
        try:
            found = await self._kafka.getmany(timeout_ms=500, max_records=self._batch)
        except NoOffsetForPartitionError:
            await self._begin_at_zero()
            return {}
        except OffsetOutOfRangeError as error:
            raise _lost(error) from error
        except RecordTooLargeError as error:
            # aiokafka has already stepped over it: going on would lose it.
            raise Misconfigured("a record is larger than the consumer takes", mend="raise the topic's limit") from error
        except (KafkaError, OSError) as error:
            self._health.bad("consumer", f"Kafka: {type(error).__name__}")
            log.warning("consumer.waiting", reason=type(error).__name__, wait_s=1)
            await asyncio.sleep(1)
            return {}
        if self._health.parts.get("consumer"):
            self._health.good("consumer")
        return {tp: [_received(r) for r in records] for tp, records in found.items()}

    async def _begin_at_zero(self) -> None:
        """Give partitions that nobody ever committed their first offset: 0, if their log still starts there."""
        assigned = list(self._kafka.assignment())
        committed = await asyncio.gather(*(self._kafka.committed(tp) for tp in assigned))
        fresh = [tp for tp, offset in zip(assigned, committed, strict=True) if offset is None]
        starts = await self._kafka.beginning_offsets(fresh) if fresh else {}
        for tp, start in starts.items():
            if start != 0:
                what = f"{tp.topic}[{tp.partition}] starts at {start} and the group has no offset: 0 to {start - 1} would be skipped"
                raise Misconfigured(
                    what, mend="restore them, or commit an offset for the group by hand to accept the loss"
                )
            with suppress(IllegalStateError):  # revoked meanwhile
                self._kafka.seek(tp, 0)

    async def _commit(self, offsets: dict[TopicPartition, int]) -> None:
        owned = self._kafka.assignment()
        mine = {tp: offset for tp, offset in offsets.items() if tp in owned}
        if not mine:
            return
        try:
            async with asyncio.timeout(10):
                await self._kafka.commit(mine)
        except (CommitFailedError, IllegalStateError) as error:
            log.warning("commit.refused", reason=type(error).__name__)  # another member has the partition: its work now
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("commit.delayed", reason=type(error).__name__)  # a later commit covers it; a crash repeats

    async def on_partitions_revoked(  # pyright: ignore[reportIncompatibleMethodOverride] (aiokafka awaits it)
        self, revoked: set[TopicPartition]
    ) -> None:
        """Wait for the batch in hand to be finished and committed, so that the next owner does not repeat it."""
        del revoked
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), REVOKE_WAIT_S)

    async def on_partitions_assigned(  # pyright: ignore[reportIncompatibleMethodOverride] (aiokafka awaits it)
        self, assigned: set[TopicPartition]
    ) -> None:
        if self._held and assigned:
            self._kafka.pause(*assigned)
        log.info("partitions.assigned", count=len(assigned))

    async def _until_connected(self, stopping: asyncio.Event) -> bool:
        wait_s = 0.5
        while not stopping.is_set():
            self._kafka = self._client()
            try:
                async with asyncio.timeout(15):
                    await self._kafka.start()
                self._health.good("consumer")
                self._moved_at = time.monotonic()
                return True
            except (KafkaError, OSError, TimeoutError) as error:
                self._health.bad("consumer", f"Kafka at {self._bootstrap}: {type(error).__name__}")
                log.warning("consumer.waiting", reason=type(error).__name__, wait_s=wait_s)
                await self._close()
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), wait_s)
            wait_s = min(wait_s * 2, 5)
        return False

    def _client(self) -> Any:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            client_id=f"parvis-{self._service}",
            group_id=f"parvis-{self._service}",
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            session_timeout_ms=self._session_timeout_ms,
            heartbeat_interval_ms=min(3_000, self._session_timeout_ms // 3),
            rebalance_timeout_ms=60_000,
            max_poll_interval_ms=300_000,
            fetch_max_wait_ms=500,
            max_partition_fetch_bytes=3 * 1024 * 1024,
            metadata_max_age_ms=30_000,
            request_timeout_ms=15_000,
        )
        consumer.subscribe(topics=self._topics, listener=self)
        return consumer

    async def _close(self) -> None:
        """Leave the group within three seconds, so that others take over at once; then give up."""
        consumer, self._kafka = self._kafka, None
        if consumer:
            with suppress(Exception):
                async with asyncio.timeout(3):
                    await consumer.stop()


def _received(record: Any) -> Received:
    return Received(
        record.topic,
        record.partition,
        record.offset,
        record.key or b"",
        record.value or b"",
        tuple((n, v or b"") for n, v in record.headers),
    )


def _lost(error: OffsetOutOfRangeError) -> Misconfigured:
    gone = ", ".join(f"{tp.topic}[{tp.partition}] from {offset}" for tp, offset in (error.args[0] or {}).items())
    return Misconfigured(
        f"records are gone before they were read: {gone}",
        mend="raise the retention, restore the records from the blob store, or commit an offset by hand to accept the loss",
    )
