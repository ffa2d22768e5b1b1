"""Reads topics without a consumer group: all records, the newest ones, or new ones as they come. Commits nothing."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from parvis.common.bus.admin import AdminClient
from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.bus.connection import Brokers, as_connection
from parvis.common.bus.group_membership import received_record


async def read_all_records(brokers: Brokers, topics: Sequence[str]) -> AsyncGenerator[ReceivedRecord]:
    """Read every record up to the end offsets at the start of the call."""
    async with _connected_reader(brokers) as consumer:
        ends, starts = await _end_offsets(consumer, topics), await _first_offsets(consumer, topics)
        begin = {tp: starts[tp] for tp, end in ends.items() if starts[tp] < end}
        async for received in _read_between(consumer, begin, ends):
            yield received


async def consumer_lag(brokers: Brokers, group: str, topics: Sequence[str]) -> int:
    """Count the records of these topics that a consumer group has not committed."""
    async with AdminClient(brokers) as admin, _connected_reader(brokers) as consumer:
        committed = await admin.list_consumer_group_offsets(group)
        ends, starts = await _end_offsets(consumer, topics), await _first_offsets(consumer, topics)
        reached = {tp: max(committed[tp].offset, starts[tp]) if tp in committed else starts[tp] for tp in ends}
        return sum(max(0, end - reached[tp]) for tp, end in ends.items())


async def event_ids_since(brokers: Brokers, topics: Sequence[str], since: datetime) -> set[str]:
    """Read the ids of the events written since an instant."""
    return {received.event_id async for received in read_records_since(brokers, topics, since)}


async def read_records_since(
    brokers: Brokers, topics: Sequence[str], since: datetime
) -> AsyncGenerator[ReceivedRecord]:
    """Read every record written since an instant, up to the end offsets at the start of the call."""
    async with _connected_reader(brokers) as consumer:
        ends = await _end_offsets(consumer, topics)
        starts = await consumer.offsets_for_times(dict.fromkeys(ends, int(since.timestamp() * 1000))) if ends else {}
        begin = {tp: starts[tp].offset for tp, end in ends.items() if starts.get(tp) and starts[tp].offset < end}
        async for received in _read_between(consumer, begin, ends):
            yield received


async def last_record_of_each_partition(brokers: Brokers, topics: Sequence[str]) -> list[ReceivedRecord]:
    """Read the newest record of each partition."""
    async with _connected_reader(brokers) as consumer:
        ends = await _end_offsets(consumer, topics)
        starts = await _first_offsets(consumer, topics)
        begin = {tp: end - 1 for tp, end in ends.items() if end > starts[tp]}
        return [received async for received in _read_between(consumer, begin, ends)]


async def _read_between(
    consumer: Any, begin: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> AsyncGenerator[ReceivedRecord]:
    unread = set(begin)
    consumer.assign(list(unread))
    for tp, offset in begin.items():
        consumer.seek(tp, offset)
    while unread := {tp for tp in unread if await consumer.position(tp) < ends[tp]}:
        for tp, records in (await consumer.getmany(timeout_ms=1000, max_records=5000)).items():
            for record in records:
                if record.offset < ends[tp]:
                    yield received_record(record)


async def follow_topics(brokers: Brokers, topics: Sequence[str]) -> AsyncGenerator[ReceivedRecord]:
    """Read every record from the first, then new ones as they arrive, until the caller stops."""
    async with _connected_reader(brokers) as consumer:
        consumer.assign(list(await _end_offsets(consumer, topics)))
        while True:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    yield received_record(record)


@asynccontextmanager
async def _connected_reader(brokers: Brokers) -> AsyncGenerator[Any]:
    connection = as_connection(brokers)
    consumer: Any = AIOKafkaConsumer(
        **connection.client_options(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=3 * 1024 * 1024,
    )
    try:
        await consumer.start()
        yield consumer
    except (KafkaError, OSError) as error:
        raise await connection.failure(error) from error
    finally:
        await consumer.stop()


async def _first_offsets(consumer: Any, topics: Sequence[str]) -> dict[TopicPartition, int]:
    partitions = await _partitions_of(consumer, topics)
    return await consumer.beginning_offsets(partitions) if partitions else {}


async def _end_offsets(consumer: Any, topics: Sequence[str]) -> dict[TopicPartition, int]:
    partitions = await _partitions_of(consumer, topics)
    return await consumer.end_offsets(partitions) if partitions else {}


async def _raise_if_hidden(client: Any, topics: set[str]) -> None:
    """Raise TopicAuthorizationFailedError for topics that are there, and not for this user: they must not look empty."""
    for topic in topics:
        client.add_topic(topic)
    if topics and await client.force_metadata_update() and (hidden := topics & client.cluster.unauthorized_topics):
        raise TopicAuthorizationFailedError(", ".join(sorted(hidden)))


async def _partitions_of(consumer: Any, topics: Sequence[str]) -> list[TopicPartition]:
    partitions: list[TopicPartition] = []
    existing = await consumer.topics()
    await _raise_if_hidden(consumer._client, set(topics) - set(existing))
    for topic in topics:
        if topic in existing:
            await consumer._client._wait_on_metadata(topic)  # loads the partitions of a topic without a subscription
            partitions += [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
    return partitions
