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
class PartitionGrowthState:
    """One row: the number of partitions that may be read, and the offsets to reach before new ones are read."""

    known: int
    grown_to: int | None = None
    is_known_to_producers: bool = False
    """Whether every producer's metadata contain the new partitions."""
    drain_to: Mapping[int, int] | None = None
    """The offset that the group has to reach, by partition."""


@dataclass
class PartitionGrowthBarrier:
    """Keeps records of a key in order when its topic gets more partitions. All members of a group share its state.

    Records of a key before the growth are in one partition, later ones perhaps in another, which another member might read
    first. So new partitions are held back until (a) every producer's metadata contain them, which takes the maximum age of
    metadata, and (b) the group has committed the end offsets that the old partitions had at that time. The state is a row in
    the service's schema, so that a restarted or another member continues from it.

    Needs:  producers whose metadata are at most `metadata_age_s` old; one growth at a time.
    Order:  guaranteed for one producer. Records of one key from two producers may be read in another order if they were
            written while only one of them knew of the growth, because Kafka has no order between partitions.
    """

    database: Database
    schema: str
    metadata_age_s: float
    _growths: dict[str, PartitionGrowthState] = field(default_factory=dict[str, PartitionGrowthState])

    @property
    def wait_s(self) -> float:
        """How long producers may use the old count: the maximum age of their metadata, plus a third for records in flight."""
        return self.metadata_age_s * 4 / 3

    @property
    def is_closed(self) -> bool:
        """Whether any topic has partitions that must not be read yet."""
        return any(growth.grown_to for growth in self._growths.values())

    def holds(self, partition: TopicPartition) -> bool:
        """Whether a partition must not be read yet, as all partitions of a topic before its first `update`."""
        growth = self._growths.get(partition.topic)
        return growth is None or partition.partition >= growth.known

    async def update(self, counts: Mapping[str, int], ends: EndOffsets, committed: CommittedOffset) -> bool:
        """Compare the stored counts with the current ones, and take the next step of a growth if it is due.

        Gives:  True when partitions were opened.
        Raises: Unavailable.
        """
        before = {topic: growth.known for topic, growth in self._growths.items()}
        for topic, count in counts.items():
            self._growths[topic] = growth = await self._record_count(topic, count)
            if growth.grown_to and growth.is_known_to_producers:
                await self._open_when_drained(topic, growth, ends, committed)
        return any(growth.known > before.get(topic, growth.known) for topic, growth in self._growths.items())

    async def _record_count(self, topic: str, count: int) -> PartitionGrowthState:
        """Insert a topic's row, or record a growth if there are more partitions than in the row."""
        async with self.database.transaction() as connection:
            values = {"topic": topic, "count": count, "wait_s": self.wait_s}
            await connection.execute(text(_INSERT_COUNT.format(schema=self.schema)), values)
            grown = await connection.execute(text(_RECORD_GROWTH.format(schema=self.schema)), values)
            if grown.rowcount:
                log.info("new-partitions.detected", topic=topic, count=count, wait_s=round(self.wait_s, 1))
            return await self._read_row(connection, topic)

    async def _read_row(self, connection: AsyncConnection, topic: str) -> PartitionGrowthState:
        values = {"topic": topic, "wait_s": self.wait_s}
        row = (await connection.execute(text(_SELECT_GROWTH.format(schema=self.schema)), values)).one()
        drain_to = (
            {int(number): offset for number, offset in json.loads(row.drain_to).items()} if row.drain_to else None
        )
        return PartitionGrowthState(row.known, row.grown_to, bool(row.is_settled), drain_to)

    async def _open_when_drained(
        self, topic: str, growth: PartitionGrowthState, ends: EndOffsets, committed: CommittedOffset
    ) -> None:
        old = [TopicPartition(topic, number) for number in range(growth.known)]
        if growth.drain_to is None:
            end_offsets = {tp.partition: end for tp, end in (await ends(old)).items()}
            growth = await self._update_row(topic, _SET_DRAIN_OFFSETS, drain_to=json.dumps(end_offsets))
        drain_to = growth.drain_to or {}
        if growth.grown_to and await self._are_drained(old, drain_to, committed):
            self._growths[topic] = await self._update_row(topic, _OPEN_PARTITIONS, known=growth.known)
            log.info("new-partitions.activated", topic=topic, count=self._growths[topic].known)

    async def _are_drained(
        self, old: Iterable[TopicPartition], drain_to: Mapping[int, int], committed: CommittedOffset
    ) -> bool:
        for partition in old:
            drain_offset = drain_to.get(partition.partition, 0)
            if drain_offset and (await committed(partition) or 0) < drain_offset:
                return False
        return True

    async def _update_row(self, topic: str, statement: str, **values: object) -> PartitionGrowthState:
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
# The database's clock, so that members agree although their own clocks differ.
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
