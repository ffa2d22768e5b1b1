"""What an operator, or an accident, does to the cluster itself: groups, retention, limits, offsets, partitions."""

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


async def limit_records(stack: Stack, topic: str, largest_bytes: int) -> None:
    """Change what a topic takes."""
    async with _admin(stack) as admin:
        wanted = {"max.message.bytes": str(largest_bytes)}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, wanted)])


async def delete_records(stack: Stack, before: Mapping[tuple[str, int], int]) -> None:
    """As retention does: everything before these offsets is gone."""
    wanted = {TopicPartition(*place): RecordsToDelete(before_offset=offset) for place, offset in before.items()}
    async with _admin(stack) as admin:
        await admin.delete_records(wanted, timeout_ms=10_000)


def _router_group(stack: Stack) -> str:
    return f"{stack.plan.topic_prefix}-router"


async def forget_group(stack: Stack) -> None:
    """As the expiry of a group's offsets does: nobody knows any more how far the routers were."""
    group = _router_group(stack)
    async with _admin(stack) as admin:
        coordinator = await admin.find_coordinator(group)
        answer: Any = await admin._send_request(DeleteGroupsRequest([group]), coordinator)  # pyright: ignore[reportPrivateUsage] (no public way)
        assert all(code == 0 for _, code in answer.results), answer


async def commit_by_hand(stack: Stack, offsets: Mapping[tuple[str, int], int]) -> None:
    """What the router's own words ask of an operator who accepts a loss, or has restored what was lost."""
    places = {TopicPartition(*place): offset for place, offset in offsets.items()}
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.kafka, group_id=_router_group(stack), enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(places))
        await consumer.commit(places)
    finally:
        await consumer.stop()


async def grow(stack: Stack, topic: str, partitions: int) -> None:
    async with _admin(stack) as admin:
        await admin.create_partitions({topic: NewPartitions(total_count=partitions)})
