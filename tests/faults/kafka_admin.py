"""Changes a Kafka cluster as an operator or an accident would: groups, retention, limits, offsets and partitions."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.protocol.admin import DeleteGroupsRequest

from parvis.local.stack import Stack


@asynccontextmanager
async def _admin(stack: Stack) -> AsyncGenerator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def set_max_record_bytes(stack: Stack, topic: str, largest_bytes: int) -> None:
    """Set the size of the largest record batch that a topic accepts."""
    async with _admin(stack) as admin:
        wanted = {"max.message.bytes": str(largest_bytes)}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, wanted)])


async def delete_topic(stack: Stack, topic: str) -> None:
    """Delete a topic with all its records."""
    async with _admin(stack) as admin:
        await admin.delete_topics([topic])


async def delete_records(stack: Stack, before: Mapping[tuple[str, int], int]) -> None:
    """Delete all records before these offsets, as retention does."""
    wanted = {TopicPartition(*place): RecordsToDelete(before_offset=offset) for place, offset in before.items()}
    async with _admin(stack) as admin:
        await admin.delete_records(wanted, timeout_ms=10_000)


def _router_group(stack: Stack) -> str:
    return f"{stack.plan.topic_prefix}-router"


async def delete_group(stack: Stack) -> None:
    """Delete the consumer group and its offsets, as their expiry would."""
    group = _router_group(stack)
    async with _admin(stack) as admin:
        coordinator = await admin.find_coordinator(group)
        answer: Any = await admin._send_request(DeleteGroupsRequest([group]), coordinator)  # pyright: ignore[reportPrivateUsage] (no public way)
        assert all(code == 0 for _, code in answer.results), answer


async def commit_offsets(stack: Stack, offsets: Mapping[tuple[str, int], int]) -> None:
    """Commit offsets for the group, as an operator does who accepts a loss or has restored the lost records."""
    places = {TopicPartition(*place): offset for place, offset in offsets.items()}
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.kafka, group_id=_router_group(stack), enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(places))
        await consumer.commit(places)
    finally:
        await consumer.stop()


async def add_partitions(stack: Stack, topic: str, partitions: int) -> None:
    async with _admin(stack) as admin:
        await admin.create_partitions({topic: NewPartitions(total_count=partitions)})
