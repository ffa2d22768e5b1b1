"""Facts about a membership that has ended; the others, on the real Kafka, are in test_bus."""

from aiokafka import TopicPartition

from parvis.common.bus.group_membership import GroupMembership

from .test_subscription import subscription_of


async def test_partitions_assigned_after_leaving_are_ignored():
    membership = GroupMembership(subscription_of())
    await membership.leave()
    await membership.on_partitions_assigned({TopicPartition("parvis.contact.received", 0)})
    assert membership.assignment_generation == 0
