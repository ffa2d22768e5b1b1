"""Manages the broker's side of a race: the input topic, the departments' topics, the committed offsets."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from parvis.common.bus.admin import apply_topics
from parvis.common.contract.topics import CONTACT_RECEIVED, REPLY_REQUESTED, all_topics
from tests.bench.router import work
from tests.bench.router.peers.rules import decide

PARTITIONS = 6
# The limit applies to batches: all contenders' batches of 256 KiB must fit.
_TOPICS = [
    replace(topic, partitions=PARTITIONS, largest_record_bytes=max(topic.largest_record_bytes, 512 * 1024))
    for topic in all_topics(work.DEPARTMENTS)
]


@dataclass
class Course:
    """One embedded broker, with a set of topics for each number of events: n200000.contact.received and so on."""

    bootstrap: str
    admin: Any

    @classmethod
    @asynccontextmanager
    async def open(cls, bootstrap: str) -> AsyncGenerator["Course"]:
        # A new topic has no leader and a new group no coordinator for a moment: aiokafka retries, its warnings are noise.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # noqa: TID251 (aiokafka's own)
        admin: Any = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=20_000)
        await admin.start()
        try:
            yield cls(bootstrap, admin)
        finally:
            await admin.close()

    async def fill(self, prefix: str, events: int, *, seed: int = work.FACTS["seed"]) -> Counter[str]:
        """Produce the input contacts; returns the expected number of records per department."""
        await self.make(prefix)
        producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap,
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            max_batch_size=256 * 1024,
        )
        await producer.start()
        expected: Counter[str] = Counter()
        waiting: list[Any] = []
        try:
            for number, sent in enumerate(work.contacts(events, seed=seed), 1):
                contact = sent.contact
                personal = contact.personal
                expected[decide(contact.channel, contact.language, personal.subject, personal.text)[0]] += 1
                record = sent.record(prefix)
                waiting.append(
                    await producer.send(record.topic, record.value, record.key, headers=list(record.headers))
                )
                if len(waiting) == 5000 or number == events:
                    await asyncio.gather(*waiting)
                    waiting.clear()
        finally:
            await producer.stop()
        return expected

    async def make(self, prefix: str) -> None:
        await apply_topics(self.bootstrap, _TOPICS, prefix=prefix, replication=1)

    async def clear(self, prefix: str) -> None:
        """Empty every topic except the input topic."""
        written = [topic.full_name(prefix) for topic in _TOPICS if topic.name != CONTACT_RECEIVED.name]
        existing = set(await self.admin.list_topics())
        await self.admin.delete_topics([name for name in written if name in existing])
        async with asyncio.timeout(30):
            while not set(await self.admin.list_topics()).isdisjoint(written):
                await asyncio.sleep(0.1)
        await self.make(prefix)

    async def committed(self, group: str, prefix: str) -> int:
        """The number of contacts that a group has committed."""
        try:
            offsets = await self.admin.list_consumer_group_offsets(group)
        except KafkaError:  # it has no coordinator yet
            return 0
        topic = CONTACT_RECEIVED.full_name(prefix)
        return sum(max(0, counts.offset) for tp, counts in offsets.items() if tp.topic == topic)

    async def rewind(self, group: str, prefix: str) -> None:
        """Reset the offsets of an inactive group to the beginning."""
        topic = CONTACT_RECEIVED.full_name(prefix)
        consumer: Any = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, group_id=group, enable_auto_commit=False)
        await consumer.start()
        try:
            partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            consumer.assign(partitions)
            await consumer.commit(dict.fromkeys(partitions, 0))
        finally:
            await consumer.stop()

    async def written(self, prefix: str) -> Counter[str]:
        """The number of records on each department's topic and on reply.requested."""
        names = {f"{prefix}.department.{slug}": slug for slug in work.DEPARTMENTS}
        names[REPLY_REQUESTED.full_name(prefix)] = REPLY_REQUESTED.name
        consumer: Any = AIOKafkaConsumer(bootstrap_servers=self.bootstrap)
        await consumer.start()
        try:
            ends = await consumer.end_offsets(
                [TopicPartition(name, number) for name in names for number in range(PARTITIONS)]
            )
        finally:
            await consumer.stop()
        counts: Counter[str] = Counter()
        for tp, end in ends.items():
            counts[names[tp.topic]] += end
        return counts
