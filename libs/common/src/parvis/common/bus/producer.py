"""Writes records to Kafka and waits for the acknowledgement, with a deadline; replaces its client after a failed batch."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    DuplicateSequenceNumber,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    RecordListTooLargeError,
    UnknownProducerId,
)

from parvis.common.bus.cloudevents import Record
from parvis.common.bus.connection import RIGHT_MISSING, Brokers, KafkaConnection, as_connection, describe_refusal
from parvis.common.bus.producer_batches import build_record_batches
from parvis.common.bus.topic_metadata import count_partitions
from parvis.common.contract.errors import OutcomeUnknown, ParvisError, Poison, TopicMissing, Unavailable
from parvis.common.runtime import metrics
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.common.runtime.settings import SharedSettings

log = logger()
DEADLINE_S = 8.0
_CLOSE_TIMEOUT_S = 5.0
_STOP_WAIT_S = 2.0
MAX_RECORD_BYTES = 2 * 1024 * 1024
MAX_BATCH_BYTES = 128 * 1024  # the limit of a topic applies to a batch; every topic allows this size

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_FATAL = (OutOfOrderSequenceNumber, UnknownProducerId, InvalidProducerEpoch, InvalidProducerIdMapping, ProducerFenced)


class _PendingAck(NamedTuple):
    """Records handed to aiokafka, and the future of their acknowledgement."""

    topic: str
    records: int
    size_bytes: int
    future: asyncio.Future[Any]


class Producer:
    """Writes records to Kafka; every service writes through it.

    Gives:  send() returns after acks=all. Every event has an id, so that writing it twice has no effect on readers.
    Raises: Unavailable, when the record was not sent (no broker, no metadata, no buffer before the deadline);
            OutcomeUnknown, when it was sent and not acknowledged: it may be written, now or later;
            Poison, when it is larger than its topic allows.
    Retry:  by the caller, with the same event id. aiokafka itself resends unacknowledged batches.
    Order:  per partition, for one client. A replaced client may interleave, so readers order by `sequence`.

    aiokafka 0.14 with idempotence never lets a batch expire (aio-libs/aiokafka#1101), and after a failed batch leaves a
    gap in the sequence numbers that fails every later batch of that partition (#1017). Hence the deadline here, and a new
    client (with a new producer id) after any failed batch.
    """

    def __init__(
        self,
        brokers: Brokers,
        *,
        service: str,
        health: Health | None = None,
        linger_ms: int = 2,
        metadata_age_s: float = 30.0,
        client_id_prefix: str = "parvis",
    ) -> None:
        self._connection = as_connection(brokers)
        self._service = service
        self._client_id = f"{client_id_prefix}-{service}"
        self._health = health
        self._linger_ms = linger_ms
        self._metadata_age_s = metadata_age_s
        self._kafka: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()
        self._closing_tasks: set[asyncio.Task[None]] = set()  # of replaced clients; `stop` awaits them

    @classmethod
    def from_settings(
        cls, town: SharedSettings, *, service: str, health: Health | None = None, linger_ms: int = 2
    ) -> "Producer":
        """Take the brokers, the prefix and the metadata age from the settings that all services share."""
        return cls(
            KafkaConnection.from_settings(town),
            service=service,
            health=health,
            linger_ms=linger_ms,
            metadata_age_s=town.metadata_age_s,
            client_id_prefix=town.topic_prefix,
        )

    async def send(self, record: Record, *, deadline_s: float = DEADLINE_S) -> None:
        """Write one record and wait for its acknowledgement; concurrent calls share a batch."""
        await self._send_within_deadline([record], deadline_s, self._send_singly)

    async def send_all(self, records: Sequence[Record], *, deadline_s: float = DEADLINE_S) -> None:
        """Write records in order and wait for all acknowledgements. They are sent at once, in batches per partition.

        Raises: Poison, when Kafka refused any of them; others may be written. The caller then sends them one by one.
                TopicMissing, when some topics do not exist; all records of the other topics are written.
        """
        await self._send_within_deadline(records, deadline_s, self._send_batches)

    async def _send_within_deadline(
        self, records: Sequence[Record], deadline_s: float, step: Callable[[Sequence[Record], float], Awaitable[None]]
    ) -> None:
        ends_at = time.monotonic() + deadline_s
        for record in records:
            _check_size(record)
        try:
            await step(records, ends_at)
        except ParvisError as error:
            if self._health and isinstance(error, Unavailable):
                self._health.mark_failing("kafka", str(error))
            raise
        if self._health:
            self._health.mark_ok("kafka")

    async def _send_singly(self, records: Sequence[Record], ends_at: float) -> None:
        kafka = await self._connected_client(ends_at)
        for record in records:
            async with self._handover(kafka, record.topic, ends_at):
                future = await kafka.send(
                    record.topic, value=record.value, key=record.key, headers=list(record.headers)
                )
            await self._await_acknowledgements(
                kafka, [_PendingAck(record.topic, 1, record.size_bytes, future)], ends_at
            )

    async def _send_batches(self, records: Sequence[Record], ends_at: float) -> None:
        kafka = await self._connected_client(ends_at)
        sent = list[_PendingAck]()
        async with self._handover(kafka, "Kafka", ends_at):
            partitions = await count_partitions(kafka.client, {record.topic for record in records})
        missing = frozenset(record.topic for record in records if record.topic not in partitions)
        if missing:
            records = [record for record in records if record.topic in partitions]
        try:
            async with self._handover(kafka, "Kafka", ends_at):
                for batch in build_record_batches(
                    records, partitions, kafka.create_batch, at_ms=int(time.time() * 1000)
                ):
                    future = await kafka.send_batch(batch.builder, batch.topic, partition=batch.partition)
                    sent.append(_PendingAck(batch.topic, batch.count, batch.size_bytes, future))
        except Unavailable:
            if sent:  # some were sent, some were not: the caller sends all again
                await self._await_acknowledgements(kafka, sent, ends_at)
            raise
        await self._await_acknowledgements(kafka, sent, ends_at)
        if missing:
            raise TopicMissing(missing)

    @asynccontextmanager
    async def _handover(self, kafka: AIOKafkaProducer, target: str, ends_at: float) -> AsyncGenerator[None]:
        """Hand records to aiokafka. If its send is cancelled before it returns, it has not accepted them (its docstring)."""
        try:
            async with asyncio.timeout(ends_at - time.monotonic()):
                yield
        except TimeoutError as error:
            raise Unavailable(f"{target} accepted no record in time") from error
        except KafkaError as error:
            self._replace(kafka, error)
            raise Unavailable(describe_refusal(error, f"{target} accepts no record: {type(error).__name__}")) from error

    async def _await_acknowledgements(
        self, kafka: AIOKafkaProducer, pending_acks: Sequence[_PendingAck], ends_at: float
    ) -> None:
        errors: list[ParvisError] = []
        acknowledged = Counter[str]()
        for pending in pending_acks:
            if not pending.future.done():
                await asyncio.wait([pending.future], timeout=max(0.0, ends_at - time.monotonic()))
            error = self._error_of(kafka, pending)
            if error:
                errors.append(error)
            else:
                acknowledged[pending.topic] += pending.records
        for topic, count in acknowledged.items():
            metrics.records_sent.labels(topic).inc(count)
        if errors:
            # Poison first: batches behind a refused one fail too, and retrying the same records can never succeed.
            raise next((p for p in errors if isinstance(p, Poison)), errors[0])

    def _error_of(self, kafka: AIOKafkaProducer, sent: _PendingAck) -> ParvisError | None:
        if not sent.future.done():
            sent.future.cancel()  # aiokafka keeps the batch and may still write it
            metrics.records_unknown.labels(sent.topic).inc(sent.records)
            return OutcomeUnknown(f"{sent.topic} has not acknowledged")
        error = sent.future.exception()
        if error is None or isinstance(error, DuplicateSequenceNumber):
            return None
        self._replace(kafka, error)
        if isinstance(error, RIGHT_MISSING):
            return Unavailable(describe_refusal(error, ""))
        if isinstance(error, _TOO_LARGE):  # a batch of several records is never too large
            return Poison(f"{sent.topic} refused a record of {sent.size_bytes} bytes")
        metrics.records_unknown.labels(sent.topic).inc(sent.records)
        return OutcomeUnknown(f"{sent.topic} answered {type(error).__name__}")

    async def _connected_client(self, ends_at: float) -> AIOKafkaProducer:
        if self._kafka:
            return self._kafka
        try:
            async with asyncio.timeout(max(0.01, ends_at - time.monotonic())), self._connecting:
                if not self._kafka:
                    self._kafka = await self._connect()
                return self._kafka
        except (KafkaError, OSError, TimeoutError) as error:
            raise await self._connection.failure(error) from error

    def _build_client(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **self._connection.client_options(),
            client_id=self._client_id,
            enable_idempotence=True,
            acks="all",
            linger_ms=self._linger_ms,
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES + 64 * 1024,
            request_timeout_ms=5000,
            metadata_max_age_ms=int(self._metadata_age_s * 1000),
            compression_type=None,
        )

    async def _connect(self) -> AIOKafkaProducer:
        kafka = self._build_client()
        try:
            await kafka.start()
        except BaseException:
            with suppress(Exception):
                await kafka.stop()
            raise
        return kafka

    def _replace(self, kafka: AIOKafkaProducer, error: BaseException) -> None:
        """Discard a client whose sequence numbers may have a gap; the next send creates a new one."""
        if self._kafka is not kafka:
            return
        self._kafka = None
        metrics.producers_replaced.labels(self._service).inc()
        log.warning("producer.replaced", reason=type(error).__name__, error=isinstance(error, _FATAL))
        task = asyncio.create_task(_close(kafka, deadline_s=_CLOSE_TIMEOUT_S), name="close replaced producer")
        self._closing_tasks.add(task)
        task.add_done_callback(self._closing_tasks.discard)

    async def check(self) -> None:
        """Raise Unavailable if no broker answers now; an existing connection is no proof."""
        ends_at = time.monotonic() + 5
        kafka = await self._connected_client(ends_at)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.01, ends_at - time.monotonic())):
                if await kafka.client.force_metadata_update():
                    return
        raise await self._connection.failure()

    async def stop(self, *, deadline_s: float = 5.0) -> None:
        """Wait at most `deadline_s` for unacknowledged records, then close the client."""
        kafka, self._kafka = self._kafka, None
        if kafka:
            await _close(kafka, deadline_s=deadline_s)
        closing = list(self._closing_tasks)
        if closing:
            await asyncio.wait(closing, timeout=_STOP_WAIT_S)  # a task cancelled before it starts would close nothing
        for task in closing:
            task.cancel()
        await asyncio.gather(*closing, return_exceptions=True)


def _check_size(record: Record) -> None:
    """Refuse a record that every topic refuses: after a refused batch the client has to be replaced."""
    if record.size_bytes > MAX_RECORD_BYTES:
        raise Poison(f"record of {record.size_bytes} bytes for {record.topic}")


async def _close(kafka: AIOKafkaProducer, *, deadline_s: float) -> None:
    """Stop within the deadline; aiokafka's own stop() waits forever while Kafka is down (#1101)."""
    with suppress(Exception):
        async with asyncio.timeout(deadline_s):
            await kafka.stop()
            return
    sender: Any = kafka._sender  # pyright: ignore[reportPrivateUsage] (there is no public API)
    if sender.sender_task and not sender.sender_task.done():
        sender.sender_task.cancel()
    with suppress(Exception):
        async with asyncio.timeout(1):
            await kafka.client.close()
