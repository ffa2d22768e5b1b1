"""Stores events in the transaction that caused them, and relays them to Kafka afterwards, in order."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    LargeBinary,
    MetaData,
    RowMapping,
    Table,
    Text,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import Record
from parvis.common.bus.producer import Producer
from parvis.common.contract.errors import Poison, Rejected, TopicMissing, Unavailable
from parvis.common.contract.topics import largest_record_bytes
from parvis.common.runtime import metrics
from parvis.common.runtime.backoff import Backoff
from parvis.common.runtime.health import Health
from parvis.common.runtime.interruptible_waits import first_completed
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database

log = logger()
BATCH_ROWS = 500
RETENTION = timedelta(days=7)
_TOPIC_AGAIN_S = 5.0  # until Kafka is asked again for a topic that it did not know
_IDLE_S = 0.5  # until it looks again; `wake` ends it earlier
_FIRST_RETRY_S, _LONGEST_RETRY_S = 1.0, 10.0


def outbox_table(metadata: MetaData, *, is_delayed: bool = False) -> Table:
    """Define the outbox of a service, in its own schema. `is_delayed`: its events can wait, and be withdrawn meanwhile."""
    delayed = [Column("due_at", DateTime(timezone=True)), Column("event_id", Text)] if is_delayed else []
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
        Column("parked_at", DateTime(timezone=True)),
        Column("parked_reason", Text),
        *delayed,
    )


@dataclass
class Outbox:
    """One service's outbox.

    Order:  rows leave in the order of their ids, one relay at a time under an advisory lock.
    Parked: a row that Kafka can never take (a record larger than its topic allows) is parked with the reason, logged and
            counted; the rows behind it go on, also those of its key, because readers never wait for a gap. An operator
            sees it on /ready and can release it.
    Topic:  rows of a topic that does not exist wait for it, all others go on; /ready notes it.
    Size:   an event that its topic can never take is refused in the transaction that writes it.
    Delay:  a row with a due time leaves after it, and can be withdrawn until then; rows behind it go on.
    Retry:  a crash between Kafka's acknowledgement and the mark sends a row again, with the same event id.
    """

    table: Table
    database: Database
    producer: Producer
    health: Health
    service: str
    gather_s: float = 0.0  # how long the relay lets rows come together; 0: as soon as there is one

    def __post_init__(self) -> None:
        self._rows_written = asyncio.Event()
        self._absent_until_s = dict[str, float]()  # topics that do not exist, and when Kafka is asked again

    async def add(self, connection: AsyncConnection, *records: Record) -> None:
        """Write events in the caller's transaction. Call `wake` after its commit.

        Raises: Rejected, when an event is larger than its topic can ever take.
        """
        if records:
            await self._insert(connection, records, {})

    async def _insert(self, connection: AsyncConnection, records: Sequence[Record], delay: dict[str, Any]) -> None:
        for record in records:
            if record.size_bytes > largest_record_bytes(record.topic):
                raise Rejected("too_large")
        rows = [
            {"topic": r.topic, "key": r.key, "value": r.value, "headers": [[n, v.decode()] for n, v in r.headers]}
            for r in records
        ]
        await connection.execute(insert(self.table).values(delay) if delay else insert(self.table), rows)

    async def add_delayed(self, connection: AsyncConnection, record: Record, event_id: str, delay: timedelta) -> None:
        """Write an event that leaves after `delay` by the database's clock, unless it is withdrawn by its id.

        Raises: Rejected, as `add`.
        """
        due_at = func.clock_timestamp() + delay
        await self._insert(connection, [record], {"due_at": due_at, "event_id": event_id})

    async def withdraw(self, connection: AsyncConnection, event_id: str) -> bool:
        """Delete a delayed event in the caller's transaction. False if it is due: it has left, or will."""
        waiting = select(self.table.c.id).where(self.table.c.event_id == event_id, self.table.c.sent_at.is_(None))
        row = await connection.scalar(waiting.with_for_update())
        # A statement of its own: the lock may have waited for the relay, and a relay that died after Kafka's acknowledgement
        # leaves the row as it was. Its due time is past then.
        is_early = self.table.c.due_at > func.clock_timestamp()
        return (await connection.execute(delete(self.table).where(self.table.c.id == row, is_early))).rowcount == 1

    def wake(self) -> None:
        """Wake the relay of this process: there is something to send."""
        self._rows_written.set()

    async def relay(self, stopping: asyncio.Event) -> None:
        """Relay rows to Kafka until the service stops."""
        backoff = Backoff(_FIRST_RETRY_S, _LONGEST_RETRY_S)
        while not stopping.is_set():
            wait_s = _IDLE_S
            try:
                if self.gather_s:
                    await asyncio.sleep(self.gather_s)
                sent = await self._relay_batch()
                self.health.mark_ok("outbox")
                backoff.reset()
                if sent:
                    continue
            except Unavailable as error:
                wait_s = backoff.next_wait_s()
                self.health.mark_failing("outbox", str(error))
                log.warning("outbox.delayed", reason=str(error), wait_s=wait_s)
            await first_completed(self._rows_written.wait(), stopping.wait(), timeout_s=wait_s)
            self._rows_written.clear()

    async def _relay_batch(self) -> int:
        async with self.database.transaction() as connection:
            lock = text("select pg_try_advisory_xact_lock(hashtext(:name))")
            if not await connection.scalar(lock, {"name": f"outbox:{self.table.schema}"}):
                return 0
            is_waiting = self.table.c.sent_at.is_(None) & self.table.c.parked_at.is_(None)
            absent = self._absent_topics()
            waiting = select(self.table).where(is_waiting, self.table.c.topic.not_in(absent))
            if "due_at" in self.table.c:  # locked, so that nobody withdraws what is being sent
                is_due = or_(self.table.c.due_at.is_(None), self.table.c.due_at <= func.clock_timestamp())
                waiting = waiting.where(is_due).with_for_update(skip_locked=True)
            rows = (await connection.execute(waiting.order_by(self.table.c.id).limit(BATCH_ROWS))).mappings().all()
            metrics.outbox_waiting.labels(self.service).set(len(rows))
            left = await self._send(connection, rows) if rows else set[int]()
            ids = cast([row["id"] for row in rows if row["id"] not in left], ARRAY(BigInteger))  # one statement
            if rows:
                await connection.execute(
                    update(self.table).where(self.table.c.id == func.any(ids)).values(sent_at=func.now())
                )
            held = 0
            if self._absent_until_s:
                held = await connection.scalar(select(func.count()).select_from(self.table).where(is_waiting)) or 0
        metrics.outbox_waiting.labels(self.service).set(held)
        return len(rows)

    def _absent_topics(self) -> list[str]:
        """The topics that are not asked for again yet."""
        return [topic for topic, until_s in self._absent_until_s.items() if until_s > time.monotonic()]

    def _note_absent(self, rows: Sequence[RowMapping], missing: TopicMissing | None) -> None:
        """Remember which topics of these rows exist, and note those that do not on /ready."""
        for topic in {row["topic"] for row in rows}:
            if missing and topic in missing.topics:
                self._absent_until_s[topic] = time.monotonic() + _TOPIC_AGAIN_S
            else:
                self._absent_until_s.pop(topic, None)
        if missing:
            log.warning("outbox.delayed", reason=str(missing), wait_s=_TOPIC_AGAIN_S)
        if self._absent_until_s:
            self.health.add_note("outbox-topics", str(TopicMissing(frozenset(self._absent_until_s))))
        else:
            self.health.notes.pop("outbox-topics", None)

    async def _send(self, connection: AsyncConnection, rows: Sequence[RowMapping]) -> set[int]:
        """Send rows in their order. Gives the ids of those that Kafka did not take: parked, or waiting for their topic.

        After a Poison all are sent again, one by one: some may be there twice then, with the same event ids.
        """
        try:
            await self.producer.send_all([_record_of(row) for row in rows])
        except TopicMissing as missing:
            self._note_absent(rows, missing)
            return {row["id"] for row in rows if row["topic"] in missing.topics}
        except Poison:
            return await self._send_one_by_one(connection, rows)
        self._note_absent(rows, None)
        return set()

    async def _send_one_by_one(self, connection: AsyncConnection, rows: Sequence[RowMapping]) -> set[int]:
        left = set[int]()
        for row in rows:
            if row["topic"] in self._absent_topics():
                left.add(row["id"])
                continue
            try:
                await self.producer.send_all([_record_of(row)])
                self._note_absent([row], None)
            except TopicMissing as missing:
                self._note_absent([row], missing)
                left.add(row["id"])
            except Poison as poison:
                await self._park(connection, row, str(poison))
                left.add(row["id"])
        return left

    async def _park(self, connection: AsyncConnection, row: RowMapping, reason: str) -> None:
        values = {"parked_at": func.now(), "parked_reason": reason}
        await connection.execute(update(self.table).where(self.table.c.id == row["id"]).values(values))
        metrics.outbox_parked.labels(self.service).inc()
        self.health.add_note("outbox-parked", f"event {row['id']} is parked: {reason}")
        log.error(
            "outbox-event.parked", topic=row["topic"], sequence=row["id"], size_bytes=len(row["value"]), reason=reason
        )

    async def purge(self) -> None:
        """Delete rows that were sent more than seven days ago."""
        async with self.database.transaction() as connection:
            await connection.execute(self.table.delete().where(self.table.c.sent_at < func.now() - RETENTION))


def _record_of(row: RowMapping) -> Record:
    headers = tuple((name, value.encode()) for name, value in row["headers"])
    return Record(row["topic"], row["key"], row["value"], headers)
