"""Creates and changes topics so that the cluster matches the topic map."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from parvis.common.bus.connection import Brokers, as_connection
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


async def plan_topics(brokers: Brokers, topics: Sequence[Topic], *, prefix: str, replication: int) -> list[TopicChange]:
    """List what differs between the map and the cluster."""
    async with AdminClient(brokers) as admin:
        changes, _ = await _compare_with_cluster(admin, topics, prefix, replication)
        return changes


async def apply_topics(
    brokers: Brokers, topics: Sequence[Topic], *, prefix: str, replication: int
) -> list[TopicChange]:
    """Create what is missing, add partitions, correct the configuration; never delete, never shrink. Idempotent."""
    async with AdminClient(brokers) as admin:
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


async def remove_topics(brokers: Brokers, topics: Sequence[Topic], *, prefix: str) -> None:
    """Delete topics with all their records, in tests. No command does this."""
    async with AdminClient(brokers) as admin:
        await admin.delete_topics([topic.full_name(prefix) for topic in topics], timeout_ms=20_000)


async def partition_count(brokers: Brokers, topic: str) -> int:
    """Count the partitions of a topic."""
    async with AdminClient(brokers) as admin:
        return len((await admin.describe_topics([topic]))[0]["partitions"])


async def is_group_active(brokers: Brokers, group: str) -> bool:
    """Whether a process reads as a member of this consumer group, or did until its session ends."""
    async with AdminClient(brokers) as admin:
        described = await admin.describe_consumer_groups([group])
        return any(members for answer in described for _, _, _, _, _, members, *_ in answer.groups)


async def _wait_until_known(admin: Any, names: Sequence[str]) -> None:
    """Wait until the brokers' metadata contain new topics."""
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
    existing_topics = [topic for topic in topics if topic.full_name(prefix) in existing]
    settings = await _read_configurations(admin, [topic.full_name(prefix) for topic in existing_topics])
    changes: list[TopicChange] = []
    work = _PlannedWork([], {}, [])
    for topic in topics:
        name = topic.full_name(prefix)
        configuration = topic_configuration(topic, replication=replication)
        if name not in existing:
            changes.append(TopicChange(name, f"create with {topic.partitions} partitions"))
            work.create.append(NewTopic(name, topic.partitions, replication, topic_configs=configuration))
            continue
        if existing[name] < topic.partitions:
            changes.append(TopicChange(name, f"grow from {existing[name]} to {topic.partitions} partitions"))
            work.grow[name] = NewPartitions(total_count=topic.partitions)
        wrong = {key: value for key, value in configuration.items() if settings[name].get(key) != value}
        if wrong:
            changes.append(TopicChange(name, ", ".join(f"{key}={value}" for key, value in wrong.items())))
            work.configure.append(ConfigResource(ConfigResourceType.TOPIC, name, configuration))
    return changes, work


async def _read_configurations(admin: Any, names: list[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    configurations: dict[str, dict[str, str]] = {}
    for answer in answers:
        for _code, _message, _type, name, entries in answer.resources:
            configurations[name] = {entry[0]: entry[1] for entry in entries}
    return configurations


class AdminClient:
    """Connects an admin client for one command. Raises: Unavailable."""

    def __init__(self, brokers: Brokers) -> None:
        self._connection = as_connection(brokers)
        self._admin: Any = None

    async def __aenter__(self) -> Any:
        try:
            self._admin = AIOKafkaAdminClient(
                **self._connection.client_options(), client_id="parvis-topics", request_timeout_ms=20_000
            )
            async with asyncio.timeout(20):
                await self._admin.start()
        except (KafkaError, OSError, TimeoutError) as error:
            if self._admin:
                await self._admin.close()
            raise await self._connection.failure(error) from error
        return self._admin

    async def __aexit__(self, *_: object) -> None:
        await self._admin.close()
