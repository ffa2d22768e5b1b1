"""Topics as the map states them, made true by command; and topics read from beginning to end."""

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
    """One thing that `parvis topics apply` would do."""

    topic: str
    what: str


def configuration(topic: Topic, *, replication: int) -> dict[str, str]:
    """The broker's settings of a topic."""
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
    """What differs between the map and the cluster."""
    async with _Admin(bootstrap) as admin:
        changes, _ = await _compare(admin, topics, prefix, replication)
        return changes


async def apply_topics(bootstrap: str, topics: Sequence[Topic], *, prefix: str, replication: int) -> list[TopicChange]:
    """Create what is missing, add partitions, mend settings; never delete, never shrink. Again is harmless."""
    async with _Admin(bootstrap) as admin:
        changes, todo = await _compare(admin, topics, prefix, replication)
        if todo.create:
            with suppress(TopicAlreadyExistsError):
                await admin.create_topics(todo.create, timeout_ms=20_000)
        if todo.grow:
            await admin.create_partitions(todo.grow)
        if todo.configure:
            await admin.alter_configs(todo.configure)
        await _until_known(admin, [topic.name for topic in todo.create])
        return changes


async def remove_topics(bootstrap: str, topics: Sequence[Topic], *, prefix: str) -> None:
    """Delete topics with all that stands in them: of a town that was only tried out. No command of ours does it."""
    async with _Admin(bootstrap) as admin:
        await admin.delete_topics([topic.full_name(prefix) for topic in topics], timeout_ms=20_000)


async def _until_known(admin: Any, names: Sequence[str]) -> None:
    """Wait until the brokers tell of new topics: they create first and tell later."""
    for _ in range(150):
        if not names or all(t["error_code"] == 0 for t in await admin.describe_topics(list(names))):
            return
        await asyncio.sleep(0.1)


@dataclass
class _Work:
    create: list[NewTopic]
    grow: dict[str, NewPartitions]
    configure: list[ConfigResource]


async def _compare(
    admin: Any, topics: Sequence[Topic], prefix: str, replication: int
) -> tuple[list[TopicChange], _Work]:
    existing = {t["topic"]: len(t["partitions"]) for t in await admin.describe_topics() if not t["error_code"]}
    known = [topic for topic in topics if topic.full_name(prefix) in existing]
    settings = await _settings_of(admin, [topic.full_name(prefix) for topic in known])
    changes: list[TopicChange] = []
    work = _Work([], {}, [])
    for topic in topics:
        name = topic.full_name(prefix)
        wanted = configuration(topic, replication=replication)
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


async def _settings_of(admin: Any, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    found: dict[str, dict[str, str]] = {}
    for answer in answers:
        for _code, _message, _type, name, entries in answer.resources:
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


class _Admin:
    """The admin client for one command, with errors in our families."""

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
    """Every record of these topics from the first to the last that stood there at the start; no group, no commits."""
    async with _reader(bootstrap) as consumer:
        ends = await _ends(consumer, topics)
        left = {tp for tp, end in ends.items() if end > 0}
        consumer.assign(list(left))
        while left := {tp for tp in left if await consumer.position(tp) < ends[tp]}:
            for tp, records in (await consumer.getmany(timeout_ms=1000, max_records=5000)).items():
                for record in records:
                    if record.offset < ends[tp]:
                        yield received_record(record)


async def partition_count(bootstrap: str, topic: str) -> int:
    """How many partitions a topic has now."""
    async with _Admin(bootstrap) as admin:
        return len((await admin.describe_topics([topic]))[0]["partitions"])


async def consumer_lag(bootstrap: str, group: str, topics: Sequence[str]) -> int:
    """How many records of these topics a consumer group has not finished."""
    async with _Admin(bootstrap) as admin, _reader(bootstrap) as consumer:
        committed = await admin.list_consumer_group_offsets(group)
        ends, starts = await _ends(consumer, topics), await _starts(consumer, topics)
        reached = {tp: max(committed[tp].offset, starts[tp]) if tp in committed else starts[tp] for tp in ends}
        return sum(max(0, end - reached[tp]) for tp, end in ends.items())


async def event_ids_since(bootstrap: str, topics: Sequence[str], since: datetime) -> set[str]:
    """The ids of the events that were written since then."""
    return {received.event_id async for received in read_records_since(bootstrap, topics, since)}


async def read_records_since(bootstrap: str, topics: Sequence[str], since: datetime) -> AsyncGenerator[ReceivedRecord]:
    """Every record that was written since then, to the last that stood there at the start; no group, no commits."""
    async with _reader(bootstrap) as consumer:
        ends = await _ends(consumer, topics)
        starts = await consumer.offsets_for_times(dict.fromkeys(ends, int(since.timestamp() * 1000))) if ends else {}
        begin = {tp: starts[tp].offset for tp, end in ends.items() if starts.get(tp) and starts[tp].offset < end}
        async for received in _between(consumer, begin, ends):
            yield received


async def last_record_of_each_partition(bootstrap: str, topics: Sequence[str]) -> list[ReceivedRecord]:
    """The newest record of each partition."""
    async with _reader(bootstrap) as consumer:
        ends = await _ends(consumer, topics)
        firsts = await consumer.beginning_offsets(list(ends)) if ends else {}
        begin = {tp: end - 1 for tp, end in ends.items() if end > firsts[tp]}
        return [received async for received in _between(consumer, begin, ends)]


async def _between(
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
    """Every record of these topics from the first on, as they come, until the caller stops."""
    async with _reader(bootstrap) as consumer:
        consumer.assign(list(await _ends(consumer, topics)))
        while True:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    yield received_record(record)


@asynccontextmanager
async def _reader(bootstrap: str) -> AsyncGenerator[Any]:
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


async def _starts(consumer: Any, topics: Sequence[str]) -> dict[TopicPartition, int]:
    partitions = await _partitions(consumer, topics)
    return await consumer.beginning_offsets(partitions) if partitions else {}


async def _ends(consumer: Any, topics: Sequence[str]) -> dict[TopicPartition, int]:
    partitions = await _partitions(consumer, topics)
    return await consumer.end_offsets(partitions) if partitions else {}


async def _partitions(consumer: Any, topics: Sequence[str]) -> list[TopicPartition]:
    partitions: list[TopicPartition] = []
    existing = await consumer.topics()
    for topic in topics:
        if topic in existing:
            await consumer._client._wait_on_metadata(topic)  # partitions of a topic nobody subscribed to
            partitions += [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
    return partitions
