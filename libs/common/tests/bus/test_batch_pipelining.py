"""Facts about batches that overlap, on the real Kafka and the real PostgreSQL: what a consumer promises holds for them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import pytest

from parvis.common.bus.batch_pipelining import PipelineStages
from parvis.common.bus.cloudevents import DecodedRecord, Record
from parvis.common.bus.consumer import Consumer
from parvis.common.bus.dead_letters import ConsumerHaltStore
from parvis.common.bus.producer import Producer
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.errors import Unavailable
from parvis.common.storage.postgres import Database

from .test_bus import PREFIX, Bench

pytestmark = pytest.mark.stack


@dataclass
class Overlapping(Bench):
    """A bench whose consumer lets batches overlap; each contact becomes one record of the topic `copy`."""

    most_at_once: int = 0
    _at_once: int = 0

    async def store(self, items: Sequence[DecodedRecord]) -> Sequence[Record]:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(0)
        self._at_once -= 1
        await self.handle(items)
        return [self.copied(item) for item in items]

    def copied(self, item: DecodedRecord) -> Record:
        received = item.record
        return Record(self.dead, received.key, received.value, received.headers)

    def consumer(self, handle: Callable[[Sequence[DecodedRecord]], Awaitable[None]] | None = None) -> Consumer:
        async def store(items: Sequence[DecodedRecord]) -> Sequence[Record]:
            if handle:
                await handle(items)
                return []
            return await self.store(items)

        async def one_after_the_other(items: Sequence[DecodedRecord]) -> None:
            await self.producer.send_all(await store(items))

        return Consumer(
            replace(self.subscription(batch_size=10), fast_models=(ContactReceived,)),
            handle=one_after_the_other,
            producer=self.producer,
            halt=ConsumerHaltStore(self.database, self.service),
            health=self.health,
            stages=PipelineStages(prepare=lambda items: items, store=store),
        )


@pytest.fixture
async def bench(kafka: str, database_url: str) -> AsyncGenerator[Overlapping]:
    database = Database(database_url, service="test")
    producer = Producer(kafka, service="test")
    made = Overlapping(kafka, database, producer)
    await made.create()
    yield made
    await producer.stop()
    await database.close()


def _numbers(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last)]


async def test_overlapping_batches_keep_their_order_and_are_finished_once(bench: Overlapping) -> None:
    await bench.producer.send_all([bench.record(number) for number in range(100)])
    async with bench.consuming():
        await bench.until(lambda: len(bench.handled) == 100)
    await bench.producer.send_all([bench.record(number) for number in range(100, 120)])
    async with bench.consuming():
        await bench.until(lambda: len(bench.handled) >= 120)

    assert bench.handled == _numbers(0, 120)
    assert [r.event_id async for r in read_all_records(bench.kafka, [bench.dead])] == _numbers(0, 120)
    assert bench.most_at_once == 1


async def test_a_batch_that_fails_holds_those_behind_it(bench: Overlapping) -> None:
    refusals = 3

    async def handle(items: Sequence[DecodedRecord]) -> None:
        nonlocal refusals
        if refusals and items[0].record.event_id == "20":
            refusals -= 1
            raise Unavailable("the database is away")
        await bench.handle(items)

    await bench.producer.send_all([bench.record(number) for number in range(60)])
    async with bench.consuming(handle):
        await bench.until(lambda: "the database is away" in str(bench.health.parts))
        await bench.until(lambda: len(bench.handled) >= 60)
        await bench.until(lambda: bench.health.is_ready)

    assert bench.handled == _numbers(0, 60)
    assert await bench.dead_letters() == []


async def test_poison_and_defects_cost_one_record_each(bench: Overlapping) -> None:
    async def handle(items: Sequence[DecodedRecord]) -> None:
        if any(item.record.event_id == "27" for item in items):
            raise ZeroDivisionError
        await bench.handle(items)

    records = [bench.record(number, value=b"{broken" if number == 13 else None) for number in range(50)]
    await bench.producer.send_all(records)
    async with bench.consuming(handle):
        await bench.until(lambda: len(bench.handled) >= 48)

    assert bench.handled == [number for number in _numbers(0, 50) if number not in {"13", "27"}]
    assert await bench.dead_letters() == ["13", "27"]


async def test_a_second_member_takes_over_what_is_not_committed_and_nothing_else(bench: Overlapping) -> None:
    async with bench.consuming():
        await bench.producer.send_all([bench.record(number) for number in range(100)])
        await bench.until(lambda: len(bench.handled) >= 30)
        async with bench.consuming():
            await bench.producer.send_all([bench.record(number) for number in range(100, 150)])
            await bench.until(lambda: len(bench.handled) >= 150)

    assert sorted(bench.handled, key=int) == _numbers(0, 150)


async def test_kafka_that_takes_nothing_is_waited_for(bench: Overlapping) -> None:
    """The rows are stored, the records do not leave: they are written again, and nothing behind them before."""
    send_all, refusals = bench.producer.send_all, 2

    async def refuse(records: Sequence[Record], *, deadline_s: float = 8.0) -> None:
        nonlocal refusals
        if refusals and records and bench.handled:
            refusals -= 1
            raise Unavailable("no broker")
        await send_all(records, deadline_s=deadline_s)

    await bench.producer.send_all([bench.record(number) for number in range(40)])
    bench.producer.send_all = refuse
    async with bench.consuming():
        await bench.until(lambda: len(set(bench.handled)) == 40 and refusals == 0)
        await bench.until(lambda: bench.health.is_ready)

    assert [r.event_id async for r in read_all_records(bench.kafka, [bench.dead])] == _numbers(0, 40)
    assert PREFIX in bench.dead
