"""Brings every record of a batch to an end: handled, or dead-lettered with its original bytes."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from parvis.common.bus.cloudevents import DecodedRecord, ReceivedRecord
from parvis.common.bus.dead_letters import ConsumerHaltStore, DeadLetterLimit, build_dead_letter
from parvis.common.bus.group_membership import GroupMembership
from parvis.common.bus.machine_faults import raise_if_machine_at_fault
from parvis.common.bus.producer import Producer
from parvis.common.bus.subscription import Subscription
from parvis.common.contract.errors import Poison, Unavailable
from parvis.common.runtime import metrics
from parvis.common.runtime.backoff import Backoff
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger

log = logger()
HANDLER_TIMEOUT_S = 60.0
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.25, 10.0

HandleBatch = Callable[[Sequence[DecodedRecord]], Awaitable[None]]


@dataclass(repr=False, eq=False)  # a generated repr would put all its parts into the log of a failed record
class BatchProcessor:
    """Decodes and handles batches, with retries, dead letters and the consumer's halt.

    Raises: MemoryError, which ends the process: it is the machine's trouble, no record's. Unavailable and an OSError of the
            machine (no file descriptor, no space) are retried; after anything else the batch is halved until the record that
            causes it is alone, and that record becomes a dead letter.
    """

    subscription: Subscription
    handle: HandleBatch
    producer: Producer
    halt: ConsumerHaltStore
    health: Health
    group: GroupMembership
    _limit: DeadLetterLimit = field(default_factory=DeadLetterLimit)

    def decode(self, received: ReceivedRecord) -> DecodedRecord:
        """Decode the event of a record. Raises: Poison."""
        event = received.event(self.subscription.types, fast_models=self.subscription.fast_models)
        return DecodedRecord(event, received)

    async def process(self, records: Sequence[ReceivedRecord], stopping: asyncio.Event) -> bool:
        """Handle or dead-letter every record. Gives False if the service stops first."""
        items: list[DecodedRecord] = []
        for received in records:
            try:
                items.append(self.decode(received))
            except Poison as poison:
                if not await self._dead_letter(received, str(poison), stopping):
                    return False
        if items and not await self._handle_all(items, stopping):
            return False
        self._count_by_topic(records)
        return True

    def count_handled(self, records: Sequence[ReceivedRecord]) -> None:
        """Count records that the pipeline handled."""
        self._count_by_topic(records)
        self._limit.count_handled(len(records))

    def _count_by_topic(self, records: Sequence[ReceivedRecord]) -> None:
        for topic, count in Counter(received.topic for received in records).items():
            metrics.records_handled.labels(topic).inc(count)

    async def _handle_all(self, items: Sequence[DecodedRecord], stopping: asyncio.Event) -> bool:
        try:
            if not await self.retry_while_unavailable(lambda: self._handle_by_fault(items), stopping):
                return False
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 (a bug must not stop the partition; the dead letter names it)
            return await self._isolate_failure(items, error, stopping)
        self._limit.count_handled(len(items))
        return True

    async def _handle_by_fault(self, items: Sequence[DecodedRecord]) -> None:
        """Run the handler. Raises: MemoryError and Unavailable for the machine's trouble, also out of a group of tasks."""
        try:
            await self.handle(items)
        except Exception as error:
            raise_if_machine_at_fault(error)
            raise

    async def _isolate_failure(self, items: Sequence[DecodedRecord], error: Exception, stopping: asyncio.Event) -> bool:
        """Halve the batch until the failing record is alone, then dead-letter it."""
        if len(items) > 1:
            middle = len(items) // 2
            return await self._handle_all(items[:middle], stopping) and await self._handle_all(items[middle:], stopping)
        reason = str(error) if isinstance(error, Poison) else f"{type(error).__name__} in the handler"
        if not isinstance(error, Poison):
            log.error("record.failed", exc_info=error)
        return await self._dead_letter(items[0].record, reason, stopping)

    async def _dead_letter(self, received: ReceivedRecord, reason: str, stopping: asyncio.Event) -> bool:
        letter = build_dead_letter(received, topic=self.subscription.dead_letter_topic, reason=reason)
        if not await self.retry_while_unavailable(lambda: self.producer.send(letter), stopping):
            return False
        metrics.dead_letters.labels(self.subscription.service).inc()
        log.error(
            "record.dead_lettered",
            topic=received.topic,
            partition=received.partition,
            offset=received.offset,
            reason=reason,
        )
        self._limit.count(dead=True)
        if not self._limit.is_reached:
            return True
        self._limit = DeadLetterLimit()
        reason = f"too many dead letters; the last one: {reason}"
        return await self.retry_while_unavailable(lambda: self.halt.halt(reason), stopping)

    async def retry_while_unavailable(self, step: Callable[[], Awaitable[None]], stopping: asyncio.Event) -> bool:
        """Retry a step while Kafka or PostgreSQL is unavailable, with partitions paused between attempts.

        Gives: False if the service stops first.
        """
        backoff = Backoff(_FIRST_RETRY_S, _LONGEST_RETRY_S)
        try:
            while not stopping.is_set():
                try:
                    async with asyncio.timeout(HANDLER_TIMEOUT_S):
                        await step()
                    self.health.mark_ok("consumer")
                    return True
                except (Unavailable, TimeoutError) as error:
                    wait_s = backoff.next_wait_s()
                    self.report_waiting(error, wait_s)
                await self.pause(wait_s)
            return False
        finally:
            self.resume()

    def report_waiting(self, error: Exception, wait_s: float) -> None:
        reason = str(error) or f"a batch took over {HANDLER_TIMEOUT_S:.0f} s"
        self.health.mark_failing("consumer", reason)
        log.warning("consumer.paused", reason=reason, wait_s=wait_s)

    async def pause(self, seconds: float) -> None:
        metrics.consumer_waiting.labels(self.subscription.service).set(1)
        await self.group.pause(seconds)

    def resume(self) -> None:
        if self.group.is_paused:
            self.group.resume()
            metrics.consumer_waiting.labels(self.subscription.service).set(0)
