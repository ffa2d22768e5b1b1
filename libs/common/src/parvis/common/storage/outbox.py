"""Stores events in the transaction that caused them, and relays them to Kafka afterwards, in order."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    LargeBinary,
    MetaData,
    Table,
    Text,
    cast,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import Record
from parvis.common.bus.producer import Producer
from parvis.common.contract.errors import Unavailable
from parvis.common.runtime import metrics
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database

log = logger()
BATCH_ROWS = 500
RETENTION = timedelta(days=7)


def outbox_table(metadata: MetaData) -> Table:
    """Define the outbox of a service, in its own schema."""
    return Table(
        "outbox",
        metadata,
        Column("id", BigInteger, Identity(always=True), primary_key=True),
        Column("topic", Text, nullable=False),
        Column("key", LargeBinary, nullable=False),
        Column("headers", JSONB, nullable=False),
        Column("value", LargeBinary, nullable=False),
        Column("written_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("sent_at", DateTime(timezone=True)),
    )


@dataclass
class Outbox:
    """One service's outbox.

    Order:  rows leave in the order of their ids, one relay at a time under an advisory lock.
    Retry:  a crash between Kafka's yes and the mark sends a row again, with the same event id.
    """

    table: Table
    database: Database
    producer: Producer
    health: Health
    service: str
    gather_s: float = 0.0  # how long the relay lets rows come together; 0: as soon as there is one

    def __post_init__(self) -> None:
        self._rows_written = asyncio.Event()

    async def add(self, connection: AsyncConnection, *records: Record) -> None:
        """Write events in the caller's transaction. Call `wake` after its commit."""
        if not records:
            return
        rows = [
            {"topic": r.topic, "key": r.key, "value": r.value, "headers": [[n, v.decode()] for n, v in r.headers]}
            for r in records
        ]
        await connection.execute(insert(self.table), rows)

    def wake(self) -> None:
        """Wake the relay of this process: there is something to send."""
        self._rows_written.set()

    async def relay(self, stopping: asyncio.Event) -> None:
        """Relay rows to Kafka until the service stops."""
        pause_s = 0.5
        while not stopping.is_set():
            try:
                if self.gather_s:
                    await asyncio.sleep(self.gather_s)
                sent = await self._relay_batch()
                self.health.mark_ok("outbox")
                pause_s = 0.5
                if sent:
                    continue
            except Unavailable as error:
                pause_s = min(pause_s * 2, 10)
                self.health.mark_failing("outbox", str(error))
                log.warning("outbox.delayed", reason=str(error), wait_s=pause_s)
            await _first_of(self._rows_written, stopping, pause_s)
            self._rows_written.clear()

    async def _relay_batch(self) -> int:
        async with self.database.transaction() as connection:
            lock = text("select pg_try_advisory_xact_lock(hashtext(:name))")
            if not await connection.scalar(lock, {"name": f"outbox:{self.table.schema}"}):
                return 0
            waiting = (
                select(self.table).where(self.table.c.sent_at.is_(None)).order_by(self.table.c.id).limit(BATCH_ROWS)
            )
            rows = (await connection.execute(waiting)).all()
            metrics.outbox_waiting.labels(self.service).set(len(rows))
            if not rows:
                return 0
            records = [Record(r.topic, r.key, r.value, tuple((n, v.encode()) for n, v in r.headers)) for r in rows]
            await self.producer.send_all(records)
            ids = cast([row.id for row in rows], ARRAY(BigInteger))  # one statement, whatever the number
            await connection.execute(
                update(self.table).where(self.table.c.id == func.any(ids)).values(sent_at=func.now())
            )
        metrics.outbox_waiting.labels(self.service).set(0)
        return len(rows)

    async def purge(self) -> None:
        """Delete rows that were sent more than seven days ago."""
        async with self.database.transaction() as connection:
            await connection.execute(self.table.delete().where(self.table.c.sent_at < func.now() - RETENTION))


async def _first_of(written: asyncio.Event, stopping: asyncio.Event, timeout_s: float) -> None:
    waiters = [asyncio.ensure_future(written.wait()), asyncio.ensure_future(stopping.wait())]
    try:
        await asyncio.wait(waiters, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
