"""A topic that got more partitions in; which of them may be read already, out: the new ones when the old ones are drained."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import TopicPartition
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database

log = logger()

Ends = Callable[[Sequence[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]]
Committed = Callable[[TopicPartition], Awaitable[int | None]]


@dataclass(frozen=True)
class PartitionGrowth:
    """One row: how many partitions of a topic may be read, and what has to be finished before there are more."""

    known: int
    grown_to: int | None = None
    is_settled: bool = False
    """Whether every producer knows of the growth by now."""
    drain_to: Mapping[int, int] | None = None
    """Partition → the offset that the group has to reach."""


@dataclass
class PartitionGrowthBarrier:
    """Keeps the order of a key whose partition changed, when a topic got more partitions; the same for all members of a group.

    A key's records before the growth lie in one partition, those after it perhaps in another, which another member may read
    first. So the new partitions are held back until (a) every producer has learned of them, which takes as long as its metadata
    may be old, and then (b) the group has committed all that stood in the old ones by that time. What is known is a row in
    the service's schema: a restart, or another member, goes on from there.

    Needs:  producers whose metadata is no older than `metadata_age_s`; one growth at a time.
    Keeps:  the order of what one producer wrote. Of two that learned of the growth at different instants, what they wrote
            under one key between these may change places: Kafka itself has no order between partitions.
    """

    database: Database
    schema: str
    metadata_age_s: float
    _grown: dict[str, PartitionGrowth] = field(default_factory=dict[str, PartitionGrowth])

    @property
    def wait_s(self) -> float:
        """From the notice of a growth until nobody writes by the old count: the metadata's age, and a third for records on their way."""
        return self.metadata_age_s * 4 / 3

    @property
    def is_closed(self) -> bool:
        """Whether some topic has partitions that must not be read yet."""
        return any(growth.grown_to for growth in self._grown.values())

    def holds(self, partition: TopicPartition) -> bool:
        """Whether a partition must not be read yet; of a topic nobody told us of, all of them."""
        growth = self._grown.get(partition.topic)
        return growth is None or partition.partition >= growth.known

    async def look(self, counts: Mapping[str, int], ends: Ends, committed: Committed) -> bool:
        """Compare what is known with the partitions there are now, and go one step on where one is due. True when some were freed.

        Raises: Unavailable.
        """
        before = {topic: growth.known for topic, growth in self._grown.items()}
        for topic, count in counts.items():
            self._grown[topic] = growth = await self._noticed(topic, count)
            if growth.grown_to and growth.is_settled:
                await self._drain(topic, growth, ends, committed)
        return any(growth.known > before.get(topic, growth.known) for topic, growth in self._grown.items())

    async def _noticed(self, topic: str, count: int) -> PartitionGrowth:
        """The topic's row; made at first sight, when nothing can have grown; growing, when there are more partitions than it says."""
        async with self.database.transaction() as connection:
            values = {"topic": topic, "count": count, "wait_s": self.wait_s}
            await connection.execute(text(_FIRST.format(schema=self.schema)), values)
            noticed = await connection.execute(text(_NOTICE.format(schema=self.schema)), values)
            if noticed.rowcount:
                log.info("partitions.grown", topic=topic, count=count, wait_s=round(self.wait_s, 1))
            return await self._row(connection, topic)

    async def _row(self, connection: AsyncConnection, topic: str) -> PartitionGrowth:
        values = {"topic": topic, "wait_s": self.wait_s}
        row = (await connection.execute(text(_ROW.format(schema=self.schema)), values)).one()
        drain_to = (
            {int(number): offset for number, offset in json.loads(row.drain_to).items()} if row.drain_to else None
        )
        return PartitionGrowth(row.known, row.grown_to, bool(row.is_settled), drain_to)

    async def _drain(self, topic: str, growth: PartitionGrowth, ends: Ends, committed: Committed) -> None:
        old = [TopicPartition(topic, number) for number in range(growth.known)]
        if growth.drain_to is None:
            reached = {tp.partition: end for tp, end in (await ends(old)).items()}
            growth = await self._note(topic, _DRAIN, drain_to=json.dumps(reached))
        to = growth.drain_to or {}
        if growth.grown_to and await self._are_drained(old, to, committed):
            self._grown[topic] = await self._note(topic, _OPEN, known=growth.known)
            log.info("partitions.opened", topic=topic, count=self._grown[topic].known)

    async def _are_drained(self, old: Iterable[TopicPartition], to: Mapping[int, int], committed: Committed) -> bool:
        for partition in old:
            wanted = to.get(partition.partition, 0)
            if wanted and (await committed(partition) or 0) < wanted:
                return False
        return True

    async def _note(self, topic: str, statement: str, **values: object) -> PartitionGrowth:
        async with self.database.transaction() as connection:
            await connection.execute(text(statement.format(schema=self.schema)), {"topic": topic, **values})
            return await self._row(connection, topic)


_FIRST = """
    insert into {schema}.partition_count (topic, known) values (:topic, :count) on conflict do nothing
"""
_NOTICE = """
    update {schema}.partition_count set grown_to = :count, noticed_at = now(), drain_to = null
    where topic = :topic and known < :count and grown_to is null
"""
# The database's clock: members that differ in theirs agree on when everybody knows.
_ROW = """
    select known, grown_to, drain_to, noticed_at + make_interval(secs => :wait_s) <= now() as is_settled
    from {schema}.partition_count where topic = :topic
"""
_DRAIN = """
    update {schema}.partition_count set drain_to = :drain_to where topic = :topic and drain_to is null
"""
_OPEN = """
    update {schema}.partition_count set known = grown_to, grown_to = null, noticed_at = null, drain_to = null
    where topic = :topic and known = :known and grown_to is not null
"""
