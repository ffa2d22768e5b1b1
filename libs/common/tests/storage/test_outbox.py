"""Facts about the outbox, on the real Kafka and the real PostgreSQL."""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from libs.common.tests.tables import create_outbox_table_sql
from sqlalchemy import Row, select, text

from parvis.common.bus.admin import apply_topics
from parvis.common.bus.cloudevents import Record
from parvis.common.bus.producer import Producer
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.errors import Rejected, Unavailable
from parvis.common.contract.topics import Topic, largest_record_bytes
from parvis.common.runtime.health import Health
from parvis.common.storage.outbox import BATCH_ROWS, Outbox, outbox_table
from parvis.common.storage.postgres import Database, schema_metadata
from parvis.common.testing import FakeProducer
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.stack


@dataclass
class Bench:
    outbox: Outbox
    database: Database
    kafka: str
    topic: str

    def record(self, number: int) -> Record:
        return Record(self.topic, b"k", str(number).encode(), (("ce_id", str(number).encode()),))

    async def write(self, *numbers: int) -> None:
        async with self.database.transaction() as connection:
            await self.outbox.add(connection, *(self.record(number) for number in numbers))
        self.outbox.wake()

    async def unsent(self) -> Sequence[Row[Any]]:
        table = self.outbox.table
        async with self.database.transaction() as connection:
            return (await connection.execute(select(table).where(table.c.sent_at.is_(None)))).all()

    async def arrived(self, count: int) -> list[str]:
        async with asyncio.timeout(20):
            while True:
                found = [received.event_id async for received in read_all_records(self.kafka, [self.topic])]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.05)


@pytest.fixture
async def bench(kafka: str, database_url: str) -> AsyncGenerator[Bench]:
    schema = f"o{uuid.uuid4().hex[:8]}"
    database = Database(database_url, service="test")
    async with database.transaction() as connection:
        await connection.execute(text(f"create schema {schema}"))
        for statement in create_outbox_table_sql(schema).split(";")[:-1]:
            await connection.execute(text(statement))
    row = Topic(name=schema, key="k", types=(), written_by="", read_by="", partitions=1)
    await apply_topics(kafka, [row], prefix="outbox", replication=1)
    producer = Producer(kafka, service="test")
    outbox = Outbox(outbox_table(schema_metadata(schema)), database, producer, Health(), "test")
    yield Bench(outbox, database, kafka, row.full_name("outbox"))
    await producer.stop()
    await database.close()


async def test_rows_reach_kafka_in_their_order(bench: Bench):
    stopping = asyncio.Event()
    relay = asyncio.create_task(bench.outbox.relay(stopping))

    for number in range(0, 1200, 3):
        await bench.write(number, number + 1, number + 2)

    assert await bench.arrived(1200) == [str(number) for number in range(1200)]
    stopping.set()
    await relay


async def test_a_rolled_back_transaction_sends_nothing(bench: Bench):
    with pytest.raises(ZeroDivisionError):
        async with bench.database.transaction() as connection:
            await bench.outbox.add(connection, bench.record(1))
            raise ZeroDivisionError
    await bench.write(2)
    stopping = asyncio.Event()
    relay = asyncio.create_task(bench.outbox.relay(stopping))

    assert await bench.arrived(1) == ["2"]
    stopping.set()
    await relay


async def test_two_relays_send_a_row_once(bench: Bench):
    stopping = asyncio.Event()
    await bench.write(*range(500))
    relays = [asyncio.create_task(bench.outbox.relay(stopping)) for _ in range(2)]
    await bench.write(*range(500, 1000))

    await bench.arrived(1000)
    stopping.set()
    await asyncio.gather(*relays)

    assert await bench.arrived(1000) == [str(number) for number in range(1000)]


async def test_what_kafka_did_not_take_is_kept_and_sent_later(bench: Bench):
    real = bench.outbox.producer
    bench.outbox.producer = FakeProducer(broken=Unavailable("Kafka is away"))  # pyright: ignore[reportAttributeAccessIssue]
    stopping = asyncio.Event()
    relay = asyncio.create_task(bench.outbox.relay(stopping))
    await bench.write(1, 2)
    async with asyncio.timeout(10):
        while bench.outbox.health.is_ready:
            await asyncio.sleep(0.02)

    bench.outbox.producer = real

    assert await bench.arrived(2) == ["1", "2"]
    stopping.set()
    await relay


async def test_a_row_that_kafka_can_never_take_is_parked_and_holds_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    too_large = Record(bench.topic, b"k", b"x" * (3 * 1024 * 1024), (("ce_id", b"large"),))
    await bench.write(1)
    monkeypatch.setattr("parvis.common.storage.outbox.largest_record_bytes", _takes_four_megabytes)
    async with bench.database.transaction() as connection:
        await bench.outbox.add(connection, too_large)  # the topic took more when this was written
    await bench.write(2)
    stopping = asyncio.Event()
    relay = asyncio.create_task(bench.outbox.relay(stopping))

    assert await bench.arrived(2) == ["1", "2"]
    await bench.write(3)
    assert await bench.arrived(3) == ["1", "2", "3"]
    stopping.set()
    await relay
    async with bench.database.transaction() as connection:
        is_parked = bench.outbox.table.c.parked_at.is_not(None)
        parked = (await connection.execute(select(bench.outbox.table).where(is_parked))).all()
    assert [(row.id, row.sent_at) for row in parked] == [(2, None)]
    assert "bytes" in parked[0].parked_reason
    assert "parked" in bench.outbox.health.notes["outbox-parked"]
    assert bench.outbox.health.is_ready


async def test_a_topic_that_does_not_exist_holds_its_own_rows_alone(bench: Bench):
    async with bench.database.transaction() as connection:
        await bench.outbox.add(connection, Record("outbox.absent", b"k", b"0", (("ce_id", b"0"),)))
    await bench.write(1, 2)
    stopping = asyncio.Event()
    relay = asyncio.create_task(bench.outbox.relay(stopping))

    assert await bench.arrived(2) == ["1", "2"]
    stopping.set()
    await relay
    assert [(row.topic, row.parked_at) for row in await bench.unsent()] == [("outbox.absent", None)]


async def test_more_rows_of_a_missing_topic_than_one_batch_hold_no_other_and_arrive_after_it_exists(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("parvis.common.storage.outbox._TOPIC_AGAIN_S", 1.0)
    absent = Topic(name=f"{bench.topic}.later", key="k", types=(), written_by="", read_by="", partitions=1)
    name = absent.full_name("outbox")
    async with bench.database.transaction() as connection:
        rows = [Record(name, b"k", b"0", (("ce_id", str(number).encode()),)) for number in range(BATCH_ROWS + 1)]
        await bench.outbox.add(connection, *rows)
    await bench.write(1, 2)
    stopping = asyncio.Event()
    relay = asyncio.create_task(bench.outbox.relay(stopping))

    assert await bench.arrived(2) == ["1", "2"]
    assert name in bench.outbox.health.notes["outbox-topics"]
    assert bench.outbox.health.is_ready

    await apply_topics(bench.kafka, [absent], prefix="outbox", replication=1)
    async with asyncio.timeout(PATIENCE_S):
        while await bench.unsent():
            await asyncio.sleep(0.05)
    assert "outbox-topics" not in bench.outbox.health.notes
    stopping.set()
    await relay
    found = [received.event_id async for received in read_all_records(bench.kafka, [name])]
    assert found == [str(number) for number in range(BATCH_ROWS + 1)]


async def test_a_row_too_large_for_kafka_and_one_of_a_missing_topic_hold_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("parvis.common.storage.outbox.largest_record_bytes", _takes_four_megabytes)
    headers = (("ce_id", b"0"),)
    async with bench.database.transaction() as connection:
        await bench.outbox.add(connection, Record("outbox.absent", b"k", b"0", headers))
        await bench.outbox.add(connection, Record(bench.topic, b"k", b"x" * (3 * 1024 * 1024), headers))
    await bench.write(1, 2)
    stopping = asyncio.Event()
    relay = asyncio.create_task(bench.outbox.relay(stopping))

    assert await bench.arrived(2) == ["1", "2"]
    stopping.set()
    await relay


async def test_what_a_topic_cannot_take_is_refused_in_the_transaction_that_writes_it(bench: Bench):
    largest = largest_record_bytes(bench.topic)
    with pytest.raises(Rejected, match="too_large"):
        async with bench.database.transaction() as connection:
            await bench.outbox.add(connection, bench.record(1), Record(bench.topic, b"k", b"x" * largest, ()))

    async with bench.database.transaction() as connection:
        assert (await connection.execute(select(bench.outbox.table))).all() == []


def _takes_four_megabytes(_: str) -> int:
    return 4 * 1024 * 1024
