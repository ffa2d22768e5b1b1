"""Facts about a topic that gets more partitions: what may be read when, on the real PostgreSQL; which topics may grow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from aiokafka import TopicPartition
from libs.common.tests.tables import create_partition_growth_table_sql
from sqlalchemy import text

from parvis.common.bus.partition_growth import PartitionGrowthBarrier
from parvis.common.cli.topics import with_more_partitions
from parvis.common.contract import topics
from parvis.common.contract.errors import Rejected
from parvis.common.storage.postgres import Database

ALL = topics.all_topics(["triage"])


@dataclass
class Log:
    """A topic's partitions: where each ends, and how far the group is."""

    ends: dict[int, int]
    done: dict[int, int] = field(default_factory=dict[int, int])

    async def ends_of(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {tp: self.ends[tp.partition] for tp in partitions}

    async def committed(self, partition: TopicPartition) -> int | None:
        return self.done.get(partition.partition)


@pytest.mark.stack
async def test_new_partitions_are_read_when_the_old_ones_are_drained(database_url: str):
    database = Database(database_url, service="test")
    async with database.transaction() as connection:
        await connection.execute(text("create schema growing"))
        await connection.execute(text(create_partition_growth_table_sql("growing")))
    log, new = Log({0: 5, 1: 0, 2: 9}), TopicPartition("t", 2)

    def member() -> PartitionGrowthBarrier:
        return PartitionGrowthBarrier(database, "growing", metadata_age_s=0)

    async def look(barrier: PartitionGrowthBarrier, count: int) -> bool:
        return await barrier.update({"t": count}, log.ends_of, log.committed)

    first, second = member(), member()
    assert first.holds(new)  # nothing is known yet
    await look(first, 2)
    assert not first.holds(TopicPartition("t", 1))

    assert not await look(first, 3)
    assert first.holds(new)
    log.ends[0], log.done[0] = 50, 4  # what came after the doors knew need not be waited for
    await look(second, 3)
    assert second.holds(new)
    assert second.is_closed
    log.done[0] = 5
    await look(second, 3)
    assert not second.holds(new)
    await look(first, 3)  # the other member learns of it
    assert not first.holds(new)
    assert not member().is_closed
    await database.close()


def test_the_map_grows_by_a_wish():
    grown = with_more_partitions(ALL, {"contact.received": 24, "department.triage": 13})

    assert {row.name: row.partitions for row in grown if row.partitions not in (12, 3)} == {
        "contact.received": 24,
        "department.triage": 13,
    }


@pytest.mark.parametrize(
    ("name", "count", "words"),
    [
        ("contact.recieved", 24, "unknown topic contact.recieved"),
        ("contact.received", 6, "cannot have only 6"),
        ("case.updated", 24, "cannot get more partitions while it is in use"),
        ("preference.changed", 24, "cannot get more partitions while it is in use"),
    ],
)
def test_what_would_do_harm_is_refused(name: str, count: int, words: str):
    with pytest.raises(Rejected, match=words):
        with_more_partitions(ALL, {name: count})
