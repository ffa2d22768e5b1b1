"""Holds a membership in a consumer group: fetches records, commits offsets, pauses; begins at 0 or says what is missing."""

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
from parvis.common.bus.partition_growth import PartitionGrowthBarrier
from parvis.common.bus.subscription import Subscription
from parvis.common.contract.errors import Misconfigured, Unavailable
from parvis.common.runtime.logs import logger

log = logger()
REVOKE_WAIT_S = 5.0
BARRIER_CHECK_INTERVAL_S = 1.0


@dataclass(frozen=True)
class FetchedBatch:
    """Records of one fetch, in the order of each partition, with the offsets to commit when they are finished."""

    records: list[ReceivedRecord]
    offsets: dict[TopicPartition, int]
    assignment_generation: int
    """How often partitions had been assigned to us when it was fetched."""


class GroupMembership(ConsumerRebalanceListener):
    """One aiokafka consumer, with its traps closed.

    Order:  `idle` is cleared by the caller while a batch is in hand; partitions move only when it is set again
            (or after five seconds), so that the next owner does not repeat finished work.
    Raises: Misconfigured, when records are gone before they were read, or one is too large to be read: going on
            would skip them. Unavailable, when Kafka does not answer.
    Growth: with a barrier, partitions that a topic got later give no records until it opens.
    """

    def __init__(self, subscription: Subscription, *, barrier: PartitionGrowthBarrier | None = None) -> None:
        self.idle = asyncio.Event()
        self.idle.set()
        self.assignment_generation = 0  # how often partitions were assigned to us
        self.progressed_at: float | None = None  # when it last joined, fetched or was resumed; on the monotonic clock
        self._subscription = subscription
        self._barrier = barrier
        self._partition_counts: dict[str, int] = {}
        self._next_barrier_check_at = 0.0
        self._is_held = False
        self._consumer: Any = None  # AIOKafkaConsumer ships no types

    @property
    def is_paused(self) -> bool:
        """Whether partitions are paused, on purpose."""
        return self._is_held

    async def join(self) -> None:
        self._consumer = self._build_client()
        try:
            async with asyncio.timeout(15):
                await self._consumer.start()
                await self._check_barrier()
                self.progressed_at = time.monotonic()
        except (KafkaError, OSError, TimeoutError) as error:
            await self.leave()
            raise Unavailable(
                f"Kafka at {self._subscription.bootstrap} does not answer: {type(error).__name__}"
            ) from error
        except Unavailable:
            await self.leave()
            raise

    async def leave(self) -> None:
        """Leave the group within three seconds, so that others take over at once; then give up."""
        consumer, self._consumer = self._consumer, None
        if consumer:
            with suppress(Exception):
                async with asyncio.timeout(3):
                    await consumer.stop()

    async def fetch(self, *, max_records: int) -> FetchedBatch:
        """Fetch the next records; an empty batch after half a second without any."""
        if self._barrier and time.monotonic() >= self._next_barrier_check_at:
            with suppress(Unavailable, KafkaError, OSError):  # what is held back stays so
                await self._check_barrier()
        try:
            fetched = await self._consumer.getmany(timeout_ms=500, max_records=max_records)
        except NoOffsetForPartitionError:
            await self._seek_to_zero()
            fetched = {}
        except OffsetOutOfRangeError as error:
            raise _records_lost(error) from error
        except RecordTooLargeError as error:
            # aiokafka has already stepped over it: going on would lose it.
            raise Misconfigured("a record is larger than the consumer takes", mend="raise its limit") from error
        except (KafkaError, OSError) as error:
            raise Unavailable(f"Kafka: {type(error).__name__}") from error
        self.progressed_at = time.monotonic()
        taken = {tp: records for tp, records in fetched.items() if not self._return_if_held(tp, records)}
        return FetchedBatch(
            [received_record(record) for records in taken.values() for record in records],
            {tp: records[-1].offset + 1 for tp, records in taken.items()},
            self.assignment_generation,
        )

    def _return_if_held(self, tp: TopicPartition, records: list[Any]) -> bool:
        """Seek back over records whose partition must not be read yet. Gives whether it was so."""
        if not (self._barrier and self._barrier.is_closed and self._barrier.holds(tp)):
            return False
        with suppress(IllegalStateError):
            self._consumer.seek(tp, records[0].offset)
            self._consumer.pause(tp)
        return True

    async def _check_barrier(self) -> None:
        """Find out whether a topic grew, or whether what grew may be read; no query while nothing changes."""
        if not self._barrier:
            return
        self._next_barrier_check_at = time.monotonic() + BARRIER_CHECK_INTERVAL_S
        counts = {topic: len(self._consumer.partitions_for_topic(topic) or ()) for topic in self._subscription.topics}
        if counts != self._partition_counts or self._barrier.is_closed:
            known = {topic: count for topic, count in counts.items() if count}
            await self._barrier.update(
                known, lambda tps: self._consumer.end_offsets(list(tps)), self._consumer.committed
            )
            self._partition_counts = counts
            if not self._is_held:
                self._resume_partitions()

    def _resume_partitions(self) -> None:
        with suppress(IllegalStateError):
            self._consumer.resume(
                *(tp for tp in self._consumer.paused() if not (self._barrier and self._barrier.holds(tp)))
            )

    async def commit(self, finished: FetchedBatch) -> None:
        """Commit what is finished; what fails is covered by a later commit.

        Nothing of an older assignment is committed, even where the partition has come back: another member may have gone
        further meanwhile, and would be set back. Its records come again.
        """
        if finished.assignment_generation != self.assignment_generation:
            log.warning("commit.refused", reason="partitions were assigned anew since it was fetched")
            return
        try:
            async with asyncio.timeout(10):
                await self._consumer.commit(finished.offsets)
        except (CommitFailedError, IllegalStateError) as error:
            log.warning("commit.refused", reason=type(error).__name__)  # another member has the partition: its work now
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("commit.delayed", reason=type(error).__name__)

    async def pause(self, seconds: float) -> None:
        """Take no records for a while and stay in the group: polling goes on, paused partitions give none."""
        self._is_held = True
        self._consumer.pause(*self._consumer.assignment())
        ends_at = time.monotonic() + seconds
        while (left_s := ends_at - time.monotonic()) > 0:
            try:
                strays = await self._consumer.getmany(timeout_ms=int(min(left_s, 1) * 1000))
            except NoOffsetForPartitionError:
                strays = {}
                await self._seek_to_zero()
            except (KafkaError, OSError):
                strays = {}
                await asyncio.sleep(min(left_s, 0.5))
            for tp, records in strays.items():  # assigned while we waited: given back, and paused as well
                self._consumer.seek(tp, records[0].offset)
                self._consumer.pause(tp)

    def resume(self) -> None:
        """Take records again."""
        if self._is_held:
            self._is_held = False
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
        if self._consumer is None:  # a rebalance that `leave` overtook
            return
        self.assignment_generation += 1
        barrier = self._barrier
        self._consumer.pause(*(tp for tp in assigned if self._is_held or (barrier and barrier.holds(tp))))
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
                    f"{tp.topic}[{tp.partition}] starts at {start} and the group has no offset: 0 to {start - 1} would be skipped",
                    mend="restore them, or commit an offset for the group by hand to accept the loss",
                )
            with suppress(IllegalStateError):  # revoked meanwhile
                self._consumer.seek(tp, 0)

    def _build_client(self) -> Any:
        # A killed member's partitions stand still until its session ends: short, for the citizens who wait behind it.
        session_timeout_ms = int(self._subscription.session_timeout_s * 1000)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._subscription.bootstrap,
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
            # What is held ready beside the batch in hand; of the default, 50 MiB, aiokafka makes four copies.
            fetch_max_bytes=2 * 1024 * 1024,
            metadata_max_age_ms=int(self._subscription.metadata_age_s * 1000),
            request_timeout_ms=15_000,
        )
        consumer.subscribe(topics=list(self._subscription.topics), listener=self)
        return consumer


def received_record(record: Any) -> ReceivedRecord:
    """Convert aiokafka's record into ours."""
    headers = record.headers
    for _, value in headers:
        if value is None:
            headers = [(name, value or b"") for name, value in headers]
            break
    return ReceivedRecord(
        record.topic, record.partition, record.offset, record.key or b"", record.value or b"", tuple(headers)
    )


def _records_lost(error: OffsetOutOfRangeError) -> Misconfigured:
    gone = ", ".join(f"{tp.topic}[{tp.partition}] from {offset}" for tp, offset in (error.args[0] or {}).items())
    return Misconfigured(
        f"records are gone before they were read: {gone}",
        mend="raise the retention, restore the records from the blob store, or commit an offset by hand to accept the loss",
    )
