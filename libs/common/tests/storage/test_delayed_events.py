"""Tests that a delayed event leaves after its due time unless it was withdrawn, and never both, on the real PostgreSQL."""

import asyncio
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from libs.common.tests.tables import create_outbox_table_sql
from sqlalchemy import func, select, text, update

from parvis.common.bus.cloudevents import Record
from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.health import Health
from parvis.common.storage.outbox import Outbox, outbox_table
from parvis.common.storage.postgres import Database, schema_metadata
from parvis.common.testing import FakeProducer
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.stack
SOON, LATER = timedelta(milliseconds=300), timedelta(hours=1)


class DyingProducer(FakeProducer):
    """A producer whose process dies after Kafka's acknowledgement."""

    async def send_all(self, records: list[Record], **more: float) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        await super().send_all(records, **more)
        raise Unavailable("killed")


@dataclass
class Delays:
    outbox: Outbox
    database: Database
    producer: FakeProducer

    async def write(self, number: int, delay: timedelta | None = None) -> None:
        record = Record("t", b"k", str(number).encode(), (("ce_id", str(number).encode()),))
        async with self.database.transaction() as connection:
            if delay is None:
                await self.outbox.add(connection, record)
            else:
                await self.outbox.add_delayed(connection, record, str(number), delay)

    async def withdraw(self, number: int) -> bool:
        async with self.database.transaction() as connection:
            return await self.outbox.withdraw(connection, str(number))

    async def relay_until(self, count: int) -> list[str]:
        stopping = asyncio.Event()
        relay = asyncio.create_task(self.outbox.relay(stopping))
        async with asyncio.timeout(PATIENCE_S):
            while len(self.producer.sent) < count:
                await asyncio.sleep(0.02)
        stopping.set()
        await relay
        return [record.value.decode() for record in self.producer.sent]


@pytest.fixture
async def delays(database_url: str) -> AsyncGenerator[Delays]:
    schema = f"o{uuid.uuid4().hex[:8]}"
    database, producer = Database(database_url, service="test"), FakeProducer()
    async with database.transaction() as connection:
        await connection.execute(text(f"create schema {schema}"))
        for statement in create_outbox_table_sql(schema, is_delayed=True).split(";")[:-1]:
            await connection.execute(text(statement))
    table = outbox_table(schema_metadata(schema), is_delayed=True)
    yield Delays(Outbox(table, database, producer, Health(), "test"), database, producer)  # pyright: ignore[reportArgumentType]
    await database.close()


async def test_a_delayed_event_leaves_after_those_behind_it(delays: Delays):
    await delays.write(1, SOON)
    await delays.write(2)

    assert await delays.relay_until(2) == ["2", "1"]


async def test_a_withdrawn_event_never_leaves(delays: Delays):
    await delays.write(1, SOON)
    assert await delays.withdraw(1)
    await delays.write(2, 2 * SOON)  # when it has left, the first would have

    assert await delays.relay_until(1) == ["2"]
    assert not await delays.withdraw(1)


async def test_an_event_that_left_cannot_be_withdrawn(delays: Delays):
    await delays.write(1, SOON)
    await delays.relay_until(1)

    assert not await delays.withdraw(1)


async def test_a_withdrawal_that_is_rolled_back_sends_the_event(delays: Delays):
    await delays.write(1, SOON)
    with pytest.raises(ZeroDivisionError):
        async with delays.database.transaction() as connection:
            assert await delays.outbox.withdraw(connection, "1")
            raise ZeroDivisionError

    assert await delays.relay_until(1) == ["1"]


async def test_an_event_is_not_withdrawn_after_a_relay_died_with_it(delays: Delays):
    await delays.write(1, SOON)
    delays.outbox.producer = dying = DyingProducer()  # pyright: ignore[reportAttributeAccessIssue]
    stopping = asyncio.Event()
    relay = asyncio.create_task(delays.outbox.relay(stopping))
    async with asyncio.timeout(PATIENCE_S):
        while not dying.sent:
            await asyncio.sleep(0.02)
    stopping.set()
    await relay

    assert not await delays.withdraw(1)
    delays.outbox.producer = delays.producer  # pyright: ignore[reportAttributeAccessIssue]
    assert await delays.relay_until(1) == ["1"]


async def test_nobody_withdraws_what_is_being_sent(delays: Delays):
    """A withdrawal waits for the relay that holds the row, and learns that it came too late."""
    await delays.write(1, timedelta())
    async with delays.database.transaction() as relay:
        table = delays.outbox.table
        row = await relay.scalar(select(table.c.id).with_for_update(skip_locked=True))  # as the relay does
        withdrawal = asyncio.create_task(delays.withdraw(1))
        await asyncio.sleep(0.05)
        assert not withdrawal.done()
        await relay.execute(update(table).where(table.c.id == row).values(sent_at=func.now()))

    assert not await withdrawal


async def test_what_waits_long_holds_nothing(delays: Delays):
    for number in range(600):  # more than a batch
        await delays.write(number, LATER)
    await delays.write(601)

    assert await delays.relay_until(1) == ["601"]
