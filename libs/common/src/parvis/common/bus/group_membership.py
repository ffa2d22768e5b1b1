"""Joins a consumer group, fetches records, commits offsets and pauses; begins at 0, or fails with the lost offsets."""

import asyncio
import time
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

from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.bus.connection import as_connection, describe_refusal
from parvis.common.bus.partition_growth import PartitionGrowthBarrier
from parvis.common.bus.subscription import Subscription
from parvis.common.contract.errors import Misconfigured, Unavailable
from parvis.common.runtime.logs import logger

log = logger()
REVOKE_WAIT_S = 5.0
BARRIER_CHECK_INTERVAL_S = 1.0


@dataclass(frozen=True)
class FetchedBatch:
    """Records of one fetch, in the order of each partition, with the offsets to commit when they are handled."""

    records: list[ReceivedRecord]
    offsets: dict[TopicPartition, int]
    assignment_generation: int
    """How often partitions had been assigned before this fetch."""


class GroupMembership(ConsumerRebalanceListener):
    """One aiokafka consumer without its known pitfalls.

    Order:  the caller clears `idle` while it handles a batch; partitions are revoked only when it is set again, or
            after five seconds, so that the next owner does not repeat finished work.
    Raises: Misconfigured, when records expired before they were read, or one is too large to be read: continuing
            would lose them. Unavailable, when Kafka does not answer.
    Growth: with a barrier, new partitions of a topic give no records until the barrier opens.
    """

    def __init__(self, subscription: Subscription, *, barrier: PartitionGrowthBarrier | None = None) -> None:
        self.idle = asyncio.Event()
        self.idle.set()
        self.assignment_generation = 0  # how often partitions were assigned
        self.progressed_at: float | None = None  # when it last joined, fetched or was resumed; on the monotonic clock
        self._subscription = subscription
        self._connection = as_connection(subscription.brokers)
        self._barrier = barrier
        self._partition_counts: dict[str, int] = {}
        self._next_barrier_check_at = 0.0
        self._is_paused = False
        self._consumer: Any = None  # AIOKafkaConsumer ships no types

    @property
    def is_paused(self) -> bool:
        """Whether partitions are paused, on purpose."""
        return self._is_paused

    async def join(self) -> None:
        try:
            self._consumer = self._build_client()
            async with asyncio.timeout(15):
                await self._consumer.start()
                await self._check_barrier()
                self.progressed_at = time.monotonic()
        except (KafkaError, OSError, TimeoutError) as error:
            await self.leave()
            raise await self._connection.failure(error) from error
        except Unavailable:
            await self.leave()
            raise

    async def leave(self) -> None:
        """Leave the group, so that other members take over at once; give up after three seconds."""
        consumer, self._consumer = self._consumer, None
        if consumer:
            with suppress(Exception):
                async with asyncio.timeout(3):
                    await consumer.stop()

    async def fetch(self, *, max_records: int) -> FetchedBatch:
        """Fetch the next records; an empty batch after half a second without any."""
        if self._barrier and time.monotonic() >= self._next_barrier_check_at:
            with suppress(Unavailable, KafkaError, OSError):  # new partitions stay held back
                await self._check_barrier()
        try:
            fetched = await self._consumer.getmany(timeout_ms=500, max_records=max_records)
        except NoOffsetForPartitionError:
            await self._seek_to_zero()
            fetched = {}
        except OffsetOutOfRangeError as error:
            raise _records_lost(error) from error
        except RecordTooLargeError as error:
            # aiokafka's position is already behind it: continuing would lose it.
            raise Misconfigured("a record is larger than max_partition_fetch_bytes", mend="raise that limit") from error
        except (KafkaError, OSError) as error:
            raise Unavailable(describe_refusal(error, f"Kafka: {type(error).__name__}")) from error
        self.progressed_at = time.monotonic()
        records_by_partition = {
            tp: records for tp, records in fetched.items() if not self._seek_back_if_held(tp, records)
        }
        return FetchedBatch(
            [received_record(record) for records in records_by_partition.values() for record in records],
            {tp: records[-1].offset + 1 for tp, records in records_by_partition.items()},
            self.assignment_generation,
        )

    def _seek_back_if_held(self, tp: TopicPartition, records: list[Any]) -> bool:
        """Seek back if the partition is held back. Gives whether it is."""
        if not (self._barrier and self._barrier.is_closed and self._barrier.holds(tp)):
            return False
        with suppress(IllegalStateError):
            self._consumer.seek(tp, records[0].offset)
            self._consumer.pause(tp)
        return True

    async def _check_barrier(self) -> None:
        """Check whether a topic has grown, and whether new partitions may be read; no query while nothing changes."""
        if not self._barrier:
            return
        self._next_barrier_check_at = time.monotonic() + BARRIER_CHECK_INTERVAL_S
        counts = {topic: len(self._consumer.partitions_for_topic(topic) or ()) for topic in self._subscription.topics}
        if counts != self._partition_counts or self._barrier.is_closed:
            known_counts = {topic: count for topic, count in counts.items() if count}
            await self._barrier.update(
                known_counts, lambda tps: self._consumer.end_offsets(list(tps)), self._consumer.committed
            )
            self._partition_counts = counts
            if not self._is_paused:
                self._resume_partitions()

    def _resume_partitions(self) -> None:
        with suppress(IllegalStateError):
            self._consumer.resume(
                *(tp for tp in self._consumer.paused() if not (self._barrier and self._barrier.holds(tp)))
            )

    async def commit(self, finished: FetchedBatch) -> None:
        """Commit the offsets of a handled batch; a failed commit is made up by a later one.

        A batch of an older assignment is not committed, even if the partition has come back: another member may have
        committed a later offset meanwhile. Its records are fetched again.
        """
        if finished.assignment_generation != self.assignment_generation:
            log.warning("offset-commit.refused", reason="partitions were reassigned after the fetch")
            return
        try:
            async with asyncio.timeout(10):
                await self._consumer.commit(finished.offsets)
        except (CommitFailedError, IllegalStateError) as error:
            log.warning("offset-commit.refused", reason=type(error).__name__)  # another member owns the partition now
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("offset-commit.delayed", reason=type(error).__name__)

    async def pause(self, seconds: float) -> None:
        """Pause all partitions for a while, and keep polling to stay in the group."""
        self._is_paused = True
        self._consumer.pause(*self._consumer.assignment())
        ends_at = time.monotonic() + seconds
        while (left_s := ends_at - time.monotonic()) > 0:
            try:
                unexpected = await self._consumer.getmany(timeout_ms=int(min(left_s, 1) * 1000))
            except NoOffsetForPartitionError:
                unexpected = {}
                await self._seek_to_zero()
            except (KafkaError, OSError):
                unexpected = {}
                await asyncio.sleep(min(left_s, 0.5))
            for tp, records in unexpected.items():  # assigned during the pause: seek back and pause them too
                self._consumer.seek(tp, records[0].offset)
                self._consumer.pause(tp)

    def resume(self) -> None:
        """Resume the paused partitions."""
        if self._is_paused:
            self._is_paused = False
            self.progressed_at = time.monotonic()
            self._resume_partitions()

    async def on_partitions_revoked(  # pyright: ignore[reportIncompatibleMethodOverride] (aiokafka awaits it)
        self, revoked: set[TopicPartition]
    ) -> None:
        del revoked
        with suppress(TimeoutError):
            await asyncio.wait_for(self.idle.wait(), REVOKE_WAIT_S)

    async def on_partitions_assigned(  # pyright: ignore[reportIncompatibleMethodOverride] (aiokafka awaits it)
        self, assigned: set[TopicPartition]
    ) -> None:
        if self._consumer is None:  # the rebalance ended after `leave`
            return
        self.assignment_generation += 1
        barrier = self._barrier
        self._consumer.pause(*(tp for tp in assigned if self._is_paused or (barrier and barrier.holds(tp))))
        log.info("partitions.assigned", count=len(assigned))

    async def _seek_to_zero(self) -> None:
        """Seek partitions without a committed offset to 0, if their log still starts there."""
        assigned = list(self._consumer.assignment())
        committed = await asyncio.gather(*(self._consumer.committed(tp) for tp in assigned))
        fresh = [tp for tp, offset in zip(assigned, committed, strict=True) if offset is None]
        starts = await self._consumer.beginning_offsets(fresh) if fresh else {}
        for tp, start in starts.items():
            if start != 0:
                raise Misconfigured(
                    f"{tp.topic}[{tp.partition}] starts at {start} and the group has no offset: 0 to {start - 1} would be lost",
                    mend="restore the records, or commit an offset for the group to accept the loss",
                )
            with suppress(IllegalStateError):  # revoked meanwhile
                self._consumer.seek(tp, 0)

    def _build_client(self) -> Any:
        # Short, because nobody reads a killed member's partitions until its session ends.
        session_timeout_ms = int(self._subscription.session_timeout_s * 1000)
        consumer = AIOKafkaConsumer(
            **self._connection.client_options(),
            client_id=self._subscription.group,
            group_id=self._subscription.group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=min(3_000, session_timeout_ms // 3),
            rebalance_timeout_ms=60_000,
            max_poll_interval_ms=300_000,
            fetch_max_wait_ms=500,
            max_partition_fetch_bytes=3 * 1024 * 1024,
            # Prefetched beside the current batch; aiokafka makes four copies of it, and the default is 50 MiB.
            fetch_max_bytes=2 * 1024 * 1024,
            metadata_max_age_ms=int(self._subscription.metadata_age_s * 1000),
            request_timeout_ms=15_000,
        )
        consumer.subscribe(topics=list(self._subscription.topics), listener=self)
        return consumer


def received_record(record: Any) -> ReceivedRecord:
    """Convert aiokafka's record into a ReceivedRecord."""
    headers = record.headers
    for _, value in headers:
        if value is None:
            headers = [(name, value or b"") for name, value in headers]
            break
    return ReceivedRecord(
        record.topic, record.partition, record.offset, record.key or b"", record.value or b"", tuple(headers)
    )


def _records_lost(error: OffsetOutOfRangeError) -> Misconfigured:
    lost = ", ".join(f"{tp.topic}[{tp.partition}] from {offset}" for tp, offset in (error.args[0] or {}).items())
    return Misconfigured(
        f"records expired before they were read: {lost}",
        mend="raise the retention, restore the records from the blob store, or commit an offset for the group to accept the loss",
    )
