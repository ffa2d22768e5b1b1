"""A place in a consumer group: records out, finished offsets in; it begins at 0 or says what is missing."""

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
from parvis.common.contract.errors import Misconfigured, Unavailable
from parvis.common.runtime.logs import logger

log = logger()
REVOKE_WAIT_S = 5.0
BARRIER_LOOKED_AT_EVERY_S = 1.0


@dataclass(frozen=True)
class FetchedBatch:
    """Records that came at once, in the order of each partition, and where the group stands when they are finished.

    `deal`: how often partitions had been dealt out to us by then.
    """

    records: list[ReceivedRecord]
    offsets: dict[TopicPartition, int]
    assignment_generation: int


class GroupMembership(ConsumerRebalanceListener):
    """One aiokafka consumer, with its traps closed.

    Order:  `idle` is cleared by the caller while a batch is in hand; partitions move only when it is set again
            (or after five seconds), so that the next owner does not repeat finished work.
    Raises: Misconfigured, when records are gone before they were read, or one is too large to be read: going on
            would skip them. Unavailable, when Kafka does not answer.
    Growth: with a barrier, partitions that a topic got later give no records until it opens.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        service: str,
        topics: list[str],
        session_timeout_s: float,
        metadata_age_s: float = 30.0,
        barrier: PartitionGrowthBarrier | None = None,
    ) -> None:
        self.idle = asyncio.Event()
        self.idle.set()
        self.deal = 0  # how often partitions were dealt out to us
        self._bootstrap = bootstrap
        self._service = service
        self._topics = topics
        # A killed member's partitions stand still until its session ends: short, for the citizens who wait behind it.
        self._session_timeout_ms = int(session_timeout_s * 1000)
        self._metadata_age_s = metadata_age_s
        self._barrier = barrier
        self._counts: dict[str, int] = {}
        self._barrier_at = 0.0
        self._held = False
        self._kafka: Any = None  # AIOKafkaConsumer ships no types

    @property
    def is_paused(self) -> bool:
        """Whether partitions are paused, on purpose."""
        return self._held

    async def join(self) -> None:
        self._kafka = self._client()
        try:
            async with asyncio.timeout(15):
                await self._kafka.start()
                await self._look_at_barrier()
        except (KafkaError, OSError, TimeoutError) as error:
            await self.leave()
            raise Unavailable(f"Kafka at {self._bootstrap} does not answer: {type(error).__name__}") from error
        except Unavailable:
            await self.leave()
            raise

    async def leave(self) -> None:
        """Leave the group within three seconds, so that others take over at once; then give up."""
        consumer, self._kafka = self._kafka, None
        if consumer:
            with suppress(Exception):
                async with asyncio.timeout(3):
                    await consumer.stop()

    async def fetch(self, *, most: int) -> FetchedBatch:
        """The next records, or none after half a second."""
        if self._barrier and time.monotonic() >= self._barrier_at:
            with suppress(Unavailable, KafkaError, OSError):  # what is held back stays so
                await self._look_at_barrier()
        try:
            found = await self._kafka.getmany(timeout_ms=500, max_records=most)
        except NoOffsetForPartitionError:
            await self._begin_at_zero()
            found = {}
        except OffsetOutOfRangeError as error:
            raise _lost(error) from error
        except RecordTooLargeError as error:
            # aiokafka has already stepped over it: going on would lose it.
            raise Misconfigured("a record is larger than the consumer takes", mend="raise its limit") from error
        except (KafkaError, OSError) as error:
            raise Unavailable(f"Kafka: {type(error).__name__}") from error
        taken = {tp: records for tp, records in found.items() if not self._keeps_back(tp, records)}
        return FetchedBatch(
            [received_record(record) for records in taken.values() for record in records],
            {tp: records[-1].offset + 1 for tp, records in taken.items()},
            self.deal,
        )

    def _keeps_back(self, tp: TopicPartition, records: list[Any]) -> bool:
        """Give records back that came although their partition must not be read yet."""
        if not (self._barrier and self._barrier.is_closed and self._barrier.holds(tp)):
            return False
        with suppress(IllegalStateError):
            self._kafka.seek(tp, records[0].offset)
            self._kafka.pause(tp)
        return True

    async def _look_at_barrier(self) -> None:
        """See whether a topic grew, or whether what grew may be read; nothing is asked while nothing changes."""
        if not self._barrier:
            return
        self._barrier_at = time.monotonic() + BARRIER_LOOKED_AT_EVERY_S
        counts = {topic: len(self._kafka.partitions_for_topic(topic) or ()) for topic in self._topics}
        if counts != self._counts or self._barrier.is_closed:
            known = {topic: count for topic, count in counts.items() if count}
            await self._barrier.look(known, lambda tps: self._kafka.end_offsets(list(tps)), self._kafka.committed)
            self._counts = counts
            if not self._held:
                self._resume()

    def _resume(self) -> None:
        with suppress(IllegalStateError):
            self._kafka.resume(*(tp for tp in self._kafka.paused() if not (self._barrier and self._barrier.holds(tp))))

    async def commit(self, finished: FetchedBatch) -> None:
        """Commit what is finished; what fails is covered by a later commit.

        Of an older deal nothing is committed, even where the partition has come back: another member may have gone further
        meanwhile, and would be set back. Its records come again.
        """
        if finished.assignment_generation != self.deal:
            log.warning("commit.refused", reason="partitions were dealt anew")
            return
        try:
            async with asyncio.timeout(10):
                await self._kafka.commit(finished.offsets)
        except (CommitFailedError, IllegalStateError) as error:
            log.warning("commit.refused", reason=type(error).__name__)  # another member has the partition: its work now
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("commit.delayed", reason=type(error).__name__)

    async def pause(self, seconds: float) -> None:
        """Take no records for a while and keep the place in the group: paused partitions give none, polling goes on."""
        self._held = True
        self._kafka.pause(*self._kafka.assignment())
        ends_at = time.monotonic() + seconds
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

    def resume(self) -> None:
        """Take records again."""
        if self._held:
            self._held = False
            self._resume()

    async def on_partitions_revoked(  # pyright: ignore[reportIncompatibleMethodOverride] (aiokafka awaits it)
        self, revoked: set[TopicPartition]
    ) -> None:
        del revoked
        with suppress(TimeoutError):
            await asyncio.wait_for(self.idle.wait(), REVOKE_WAIT_S)

    async def on_partitions_assigned(  # pyright: ignore[reportIncompatibleMethodOverride] (aiokafka awaits it)
        self, assigned: set[TopicPartition]
    ) -> None:
        self.deal += 1
        barrier = self._barrier
        self._kafka.pause(*(tp for tp in assigned if self._held or (barrier and barrier.holds(tp))))
        log.info("partitions.assigned", count=len(assigned))

    async def _begin_at_zero(self) -> None:
        """Give partitions that nobody ever committed their first offset: 0, if their log still starts there."""
        assigned = list(self._kafka.assignment())
        committed = await asyncio.gather(*(self._kafka.committed(tp) for tp in assigned))
        fresh = [tp for tp, offset in zip(assigned, committed, strict=True) if offset is None]
        starts = await self._kafka.beginning_offsets(fresh) if fresh else {}
        for tp, start in starts.items():
            if start != 0:
                raise Misconfigured(
                    f"{tp.topic}[{tp.partition}] starts at {start} and the group has no offset: 0 to {start - 1} would be skipped",
                    mend="restore them, or commit an offset for the group by hand to accept the loss",
                )
            with suppress(IllegalStateError):  # revoked meanwhile
                self._kafka.seek(tp, 0)

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
            # What is held ready beside the batch in hand; of the default, 50 MiB, aiokafka makes four copies.
            fetch_max_bytes=2 * 1024 * 1024,
            metadata_max_age_ms=int(self._metadata_age_s * 1000),
            request_timeout_ms=15_000,
        )
        consumer.subscribe(topics=self._topics, listener=self)
        return consumer


def received_record(record: Any) -> ReceivedRecord:
    """aiokafka's record as ours."""
    headers = record.headers
    for _, value in headers:
        if value is None:
            headers = [(name, value or b"") for name, value in headers]
            break
    return ReceivedRecord(
        record.topic, record.partition, record.offset, record.key or b"", record.value or b"", tuple(headers)
    )


def _lost(error: OffsetOutOfRangeError) -> Misconfigured:
    gone = ", ".join(f"{tp.topic}[{tp.partition}] from {offset}" for tp, offset in (error.args[0] or {}).items())
    return Misconfigured(
        f"records are gone before they were read: {gone}",
        mend="raise the retention, restore the records from the blob store, or commit an offset by hand to accept the loss",
    )
