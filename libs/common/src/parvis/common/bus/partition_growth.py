"""Holds the new partitions of a grown topic back until the old ones are drained, so that a key's order is kept."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import TopicPartition
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database

log = logger()

EndOffsets = Callable[[Sequence[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]]
CommittedOffset = Callable[[TopicPartition], Awaitable[int | None]]


@dataclass(frozen=True)
class PartitionGrowth:
    """One row: how many partitions of a topic may be read, and up to where they must be drained before more are."""

    known: int
    grown_to: int | None = None
    is_known_to_producers: bool = False
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
    _growths: dict[str, PartitionGrowth] = field(default_factory=dict[str, PartitionGrowth])

    @property
    def wait_s(self) -> float:
        """How long after a growth producers may use the old count: the age of their metadata, and a third for records on their way."""
        return self.metadata_age_s * 4 / 3

    @property
    def is_closed(self) -> bool:
        """Whether any topic has partitions that must not be read yet."""
        return any(growth.grown_to for growth in self._growths.values())

    def holds(self, partition: TopicPartition) -> bool:
        """Whether a partition must not be read yet. So it is with all partitions of a topic that `update` has not seen."""
        growth = self._growths.get(partition.topic)
        return growth is None or partition.partition >= growth.known

    async def update(self, counts: Mapping[str, int], ends: EndOffsets, committed: CommittedOffset) -> bool:
        """Compare the known counts with the partitions there are now, and take the next step where it is due.

        Gives:  True when partitions were opened.
        Raises: Unavailable.
        """
        before = {topic: growth.known for topic, growth in self._growths.items()}
        for topic, count in counts.items():
            self._growths[topic] = growth = await self._record_count(topic, count)
            if growth.grown_to and growth.is_known_to_producers:
                await self._open_when_drained(topic, growth, ends, committed)
        return any(growth.known > before.get(topic, growth.known) for topic, growth in self._growths.items())

    async def _record_count(self, topic: str, count: int) -> PartitionGrowth:
        """Record a topic's partitions: insert its row at first sight, note a growth when there are more than the row says."""
        async with self.database.transaction() as connection:
            values = {"topic": topic, "count": count, "wait_s": self.wait_s}
            await connection.execute(text(_INSERT_COUNT.format(schema=self.schema)), values)
            noticed = await connection.execute(text(_RECORD_GROWTH.format(schema=self.schema)), values)
            if noticed.rowcount:
                log.info("partitions.grown", topic=topic, count=count, wait_s=round(self.wait_s, 1))
            return await self._read_row(connection, topic)

    async def _read_row(self, connection: AsyncConnection, topic: str) -> PartitionGrowth:
        values = {"topic": topic, "wait_s": self.wait_s}
        row = (await connection.execute(text(_SELECT_GROWTH.format(schema=self.schema)), values)).one()
        drain_to = (
            {int(number): offset for number, offset in json.loads(row.drain_to).items()} if row.drain_to else None
        )
        return PartitionGrowth(row.known, row.grown_to, bool(row.is_settled), drain_to)

    async def _open_when_drained(
        self, topic: str, growth: PartitionGrowth, ends: EndOffsets, committed: CommittedOffset
    ) -> None:
        old = [TopicPartition(topic, number) for number in range(growth.known)]
        if growth.drain_to is None:
            reached = {tp.partition: end for tp, end in (await ends(old)).items()}
            growth = await self._update_row(topic, _SET_DRAIN_OFFSETS, drain_to=json.dumps(reached))
        to = growth.drain_to or {}
        if growth.grown_to and await self._are_drained(old, to, committed):
            self._growths[topic] = await self._update_row(topic, _OPEN_PARTITIONS, known=growth.known)
            log.info("partitions.opened", topic=topic, count=self._growths[topic].known)

    async def _are_drained(
        self, old: Iterable[TopicPartition], to: Mapping[int, int], committed: CommittedOffset
    ) -> bool:
        for partition in old:
            wanted = to.get(partition.partition, 0)
            if wanted and (await committed(partition) or 0) < wanted:
                return False
        return True

    async def _update_row(self, topic: str, statement: str, **values: object) -> PartitionGrowth:
        async with self.database.transaction() as connection:
            await connection.execute(text(statement.format(schema=self.schema)), {"topic": topic, **values})
            return await self._read_row(connection, topic)


_INSERT_COUNT = """
    insert into {schema}.partition_count (topic, known) values (:topic, :count) on conflict do nothing
"""
_RECORD_GROWTH = """
    update {schema}.partition_count set grown_to = :count, noticed_at = now(), drain_to = null
    where topic = :topic and known < :count and grown_to is null
"""
# The database's clock: members that differ in theirs agree on when everybody knows.
_SELECT_GROWTH = """
    select known, grown_to, drain_to, noticed_at + make_interval(secs => :wait_s) <= now() as is_settled
    from {schema}.partition_count where topic = :topic
"""
_SET_DRAIN_OFFSETS = """
    update {schema}.partition_count set drain_to = :drain_to where topic = :topic and drain_to is null
"""
_OPEN_PARTITIONS = """
    update {schema}.partition_count set known = grown_to, grown_to = null, noticed_at = null, drain_to = null
    where topic = :topic and known = :known and grown_to is not null
"""
