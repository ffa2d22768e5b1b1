"""Creates and changes topics by the topic map, and reads topics from beginning to end outside any group."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.bus.group_membership import received_record
from parvis.common.contract.errors import Unavailable
from parvis.common.contract.topics import Topic


@dataclass(frozen=True)
class TopicChange:
    """One change that `parvis topics apply` would make."""

    topic: str
    description: str


def topic_configuration(topic: Topic, *, replication: int) -> dict[str, str]:
    """Build the broker's configuration of a topic."""
    retention_ms = int(topic.retention / timedelta(milliseconds=1)) if topic.retention else -1
    return {
        "cleanup.policy": "compact" if topic.compacted else "delete",
        "retention.ms": str(retention_ms),
        "max.message.bytes": str(topic.largest_record_bytes + 64 * 1024),  # a batch of one record and its frame
        "min.insync.replicas": str(max(1, replication - 1)),
        "unclean.leader.election.enable": "false",
        "compression.type": "producer",
        "message.timestamp.type": "CreateTime",
    }


async def plan_topics(bootstrap: str, topics: Sequence[Topic], *, prefix: str, replication: int) -> list[TopicChange]:
    """List what differs between the map and the cluster."""
    async with _AdminClient(bootstrap) as admin:
        changes, _ = await _compare_with_cluster(admin, topics, prefix, replication)
        return changes


async def apply_topics(bootstrap: str, topics: Sequence[Topic], *, prefix: str, replication: int) -> list[TopicChange]:
    """Create what is missing, add partitions, correct the configuration; never delete, never shrink. Idempotent."""
    async with _AdminClient(bootstrap) as admin:
        changes, todo = await _compare_with_cluster(admin, topics, prefix, replication)
        if todo.create:
            with suppress(TopicAlreadyExistsError):
                await admin.create_topics(todo.create, timeout_ms=20_000)
        if todo.grow:
            await admin.create_partitions(todo.grow)
        if todo.configure:
            await admin.alter_configs(todo.configure)
        await _wait_until_known(admin, [topic.name for topic in todo.create])
        return changes


async def remove_topics(bootstrap: str, topics: Sequence[Topic], *, prefix: str) -> None:
    """Delete topics and all their records, for towns that tests and demos made. No command of ours does it."""
    async with _AdminClient(bootstrap) as admin:
        await admin.delete_topics([topic.full_name(prefix) for topic in topics], timeout_ms=20_000)


async def _wait_until_known(admin: Any, names: Sequence[str]) -> None:
    """Wait until new topics are in the brokers' metadata, which lags behind their creation."""
    for _ in range(150):
        if not names or all(t["error_code"] == 0 for t in await admin.describe_topics(list(names))):
            return
        await asyncio.sleep(0.1)


@dataclass
class _PlannedWork:
    create: list[NewTopic]
    grow: dict[str, NewPartitions]
    configure: list[ConfigResource]


async def _compare_with_cluster(
    admin: Any, topics: Sequence[Topic], prefix: str, replication: int
) -> tuple[list[TopicChange], _PlannedWork]:
    existing = {t["topic"]: len(t["partitions"]) for t in await admin.describe_topics() if not t["error_code"]}
    known = [topic for topic in topics if topic.full_name(prefix) in existing]
    settings = await _read_configurations(admin, [topic.full_name(prefix) for topic in known])
    changes: list[TopicChange] = []
    work = _PlannedWork([], {}, [])
    for topic in topics:
        name = topic.full_name(prefix)
        wanted = topic_configuration(topic, replication=replication)
        if name not in existing:
            changes.append(TopicChange(name, f"create with {topic.partitions} partitions"))
            work.create.append(NewTopic(name, topic.partitions, replication, topic_configs=wanted))
            continue
        if existing[name] < topic.partitions:
            changes.append(TopicChange(name, f"grow from {existing[name]} to {topic.partitions} partitions"))
            work.grow[name] = NewPartitions(total_count=topic.partitions)
        wrong = {key: value for key, value in wanted.items() if settings[name].get(key) != value}
        if wrong:
            changes.append(TopicChange(name, ", ".join(f"{key}={value}" for key, value in wrong.items())))
            work.configure.append(ConfigResource(ConfigResourceType.TOPIC, name, wanted))
    return changes, work


async def _read_configurations(admin: Any, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    found: dict[str, dict[str, str]] = {}
    for answer in answers:
        for _code, _message, _type, name, entries in answer.resources:
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


class _AdminClient:
    """Connects an admin client for one command. Raises: Unavailable."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._admin: Any = None

    async def __aenter__(self) -> Any:
        self._admin = AIOKafkaAdminClient(
            bootstrap_servers=self._bootstrap, client_id="parvis-topics", request_timeout_ms=20_000
        )
        try:
            async with asyncio.timeout(20):
                await self._admin.start()
        except (KafkaError, OSError, TimeoutError) as error:
            await self._admin.close()
            raise Unavailable(f"Kafka at {self._bootstrap} does not answer") from error
        return self._admin

    async def __aexit__(self, *_: object) -> None:
        await self._admin.close()


async def read_all_records(bootstrap: str, topics: Sequence[str]) -> AsyncGenerator[ReceivedRecord]:
    """Read every record from the first to the last that was there at the start; no group, no commits."""
    async with _connected_reader(bootstrap) as consumer:
        ends = await _end_offsets(consumer, topics)
        left = {tp for tp, end in ends.items() if end > 0}
        consumer.assign(list(left))
        while left := {tp for tp in left if await consumer.position(tp) < ends[tp]}:
            for tp, records in (await consumer.getmany(timeout_ms=1000, max_records=5000)).items():
                for record in records:
                    if record.offset < ends[tp]:
                        yield received_record(record)


async def partition_count(bootstrap: str, topic: str) -> int:
    """Count the partitions that a topic has now."""
    async with _AdminClient(bootstrap) as admin:
        return len((await admin.describe_topics([topic]))[0]["partitions"])


async def consumer_lag(bootstrap: str, group: str, topics: Sequence[str]) -> int:
    """Count the records of these topics that a consumer group has not committed."""
    async with _AdminClient(bootstrap) as admin, _connected_reader(bootstrap) as consumer:
        committed = await admin.list_consumer_group_offsets(group)
        ends, starts = await _end_offsets(consumer, topics), await _first_offsets(consumer, topics)
        reached = {tp: max(committed[tp].offset, starts[tp]) if tp in committed else starts[tp] for tp in ends}
        return sum(max(0, end - reached[tp]) for tp, end in ends.items())


async def event_ids_since(bootstrap: str, topics: Sequence[str], since: datetime) -> set[str]:
    """Read the ids of the events that were written since then."""
    return {received.event_id async for received in read_records_since(bootstrap, topics, since)}


async def read_records_since(bootstrap: str, topics: Sequence[str], since: datetime) -> AsyncGenerator[ReceivedRecord]:
    """Read every record written since then, to the last that was there at the start; no group, no commits."""
    async with _connected_reader(bootstrap) as consumer:
        ends = await _end_offsets(consumer, topics)
        starts = await consumer.offsets_for_times(dict.fromkeys(ends, int(since.timestamp() * 1000))) if ends else {}
        begin = {tp: starts[tp].offset for tp, end in ends.items() if starts.get(tp) and starts[tp].offset < end}
        async for received in _read_between(consumer, begin, ends):
            yield received


async def last_record_of_each_partition(bootstrap: str, topics: Sequence[str]) -> list[ReceivedRecord]:
    """Read the newest record of each partition."""
    async with _connected_reader(bootstrap) as consumer:
        ends = await _end_offsets(consumer, topics)
        firsts = await consumer.beginning_offsets(list(ends)) if ends else {}
        begin = {tp: end - 1 for tp, end in ends.items() if end > firsts[tp]}
        return [received async for received in _read_between(consumer, begin, ends)]


async def _read_between(
    consumer: Any, begin: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> AsyncGenerator[ReceivedRecord]:
    left = set(begin)
    consumer.assign(list(left))
    for tp, offset in begin.items():
        consumer.seek(tp, offset)
    while left := {tp for tp in left if await consumer.position(tp) < ends[tp]}:
        for tp, records in (await consumer.getmany(timeout_ms=1000, max_records=5000)).items():
            for record in records:
                if record.offset < ends[tp]:
                    yield received_record(record)


async def follow_topics(bootstrap: str, topics: Sequence[str]) -> AsyncGenerator[ReceivedRecord]:
    """Read every record from the first on, and then new ones as they come, until the caller stops."""
    async with _connected_reader(bootstrap) as consumer:
        consumer.assign(list(await _end_offsets(consumer, topics)))
        while True:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    yield received_record(record)


@asynccontextmanager
async def _connected_reader(bootstrap: str) -> AsyncGenerator[Any]:
    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=3 * 1024 * 1024,
    )
    try:
        await consumer.start()
        yield consumer
    except (KafkaError, OSError) as error:
        raise Unavailable(f"Kafka at {bootstrap} does not answer") from error
    finally:
        await consumer.stop()


async def _first_offsets(consumer: Any, topics: Sequence[str]) -> dict[TopicPartition, int]:
    partitions = await _partitions_of(consumer, topics)
    return await consumer.beginning_offsets(partitions) if partitions else {}


async def _end_offsets(consumer: Any, topics: Sequence[str]) -> dict[TopicPartition, int]:
    partitions = await _partitions_of(consumer, topics)
    return await consumer.end_offsets(partitions) if partitions else {}


async def _partitions_of(consumer: Any, topics: Sequence[str]) -> list[TopicPartition]:
    partitions: list[TopicPartition] = []
    existing = await consumer.topics()
    for topic in topics:
        if topic in existing:
            await consumer._client._wait_on_metadata(topic)  # partitions of a topic nobody subscribed to
            partitions += [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
    return partitions
