"""Rebuilds the ledger from the topics after a restored backup, so that nothing is sent twice."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.bus.connection import Brokers
from parvis.common.bus.topic_reader import last_record_of_each_partition, read_all_records, read_records_since
from parvis.common.contract.delivery import DeliveryReported, DeliveryUpdated
from parvis.common.contract.errors import Poison
from parvis.common.contract.event_base import Event
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database
from parvis.notifier.consume.kafka_intake import KafkaIntake
from parvis.notifier.decide.delivery_rebuild import (
    DeliveryHistory,
    group_by_delivery,
    is_behind,
    rebuild_delivery,
)
from parvis.notifier.store.deliveries import lock_deliveries, upsert_rebuilt
from parvis.notifier.store.recipient_lookup import fill_in_recipients
from parvis.notifier.store.replies import record_replies, replies_of
from parvis.notifier.store.unresolved_deliveries import last_change, without_delivery

log = logger()
BATCH = 500
_MARGIN = timedelta(hours=1)  # clocks, and transactions that were open when the backup was made
_Kind = TypeVar("_Kind", bound=Event)
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class RebuildTopics:
    """The full names of the topics that a rebuild reads."""

    requests: str
    updates: str
    reports: str


@dataclass
class LedgerRebuild:
    """Brings a database that is older than Kafka, as after a restored backup, up to date with the topics."""

    brokers: Brokers
    topics: RebuildTopics
    database: Database
    intake: KafkaIntake
    clock: Clock = now

    async def rebuild_if_behind(self) -> None:
        """Compare the newest update of each partition with its row, and rebuild if a row is older. Run at every start; reads one record per partition."""
        records = await last_record_of_each_partition(self.brokers, [self.topics.updates])
        newest = list(_events(records, DeliveryUpdated))
        async with self.database.transaction() as connection:
            rows = await lock_deliveries(connection, [event.delivery_id for event in newest])
        if any(is_behind(rows.get(event.delivery_id), event) for event in newest):
            log.warning("ledger.behind_topics", count=len(newest))
            await self.rebuild()

    async def rebuild(self, since: datetime | None = None) -> int:
        """Rebuild from the topics, read from `since`, else from an hour before the ledger's last change. Gives the number of repaired rows."""
        async with self.database.transaction() as connection:
            newest = await last_change(connection)
        since = since or (newest - _MARGIN if newest else None)
        ids = await self._record_requests(since)
        updates = [event async for event in self._read(self.topics.updates, DeliveryUpdated, since)]
        reports = [event async for event in self._read(self.topics.reports, DeliveryReported, since)]
        mended = await self._in_batches(list(group_by_delivery(updates).values()), self._mend)
        await self._in_batches(ids, self._plan)
        await self._in_batches(reports, self._apply_reports)
        log.warning("ledger.rebuilt", count=len(mended), total=len(ids))
        return len(mended)

    async def _record_requests(self, since: datetime | None) -> list[str]:
        """Record the requested replies in batches: they are large, and may be many. Gives their ids."""
        ids: list[str] = []
        batch: list[ReplyRequested] = []
        async for reply in self._read(self.topics.requests, ReplyRequested, since):
            batch.append(reply)
            if len(batch) >= BATCH:
                ids += await self._write_batch(batch, self._record)
                batch = []
        return ids + await self._write_batch(batch, self._record)

    async def _in_batches(
        self, items: Sequence[_Item], write: Callable[[AsyncConnection, Sequence[_Item]], Awaitable[list[str]]]
    ) -> list[str]:
        """Write items, 500 per transaction. If a batch fails, its items are written one by one; one that fails alone is logged and left out."""
        ids: list[str] = []
        for begin in range(0, len(items), BATCH):
            ids += await self._write_batch(items[begin : begin + BATCH], write)
        return ids

    async def _write_batch(
        self, batch: Sequence[_Item], write: Callable[[AsyncConnection, Sequence[_Item]], Awaitable[list[str]]]
    ) -> list[str]:
        try:
            async with self.database.transaction() as connection:
                return await write(connection, batch)
        except (ValueError, LookupError, DBAPIError) as error:
            if len(batch) == 1:
                log.exception("ledger-item.not_rebuilt", code=_id_of(batch[0]), reason=type(error).__name__)
                return []
            return [written for item in batch for written in await self._write_batch([item], write)]

    async def _record(self, connection: AsyncConnection, requests: Sequence[ReplyRequested]) -> list[str]:
        """Record replies; of several with the same id, the first. Gives the ids of those that have a recipient."""
        first = {reply.reply_id: reply for reply in reversed(requests)}
        replies = await fill_in_recipients(connection, list(first.values()))
        await record_replies(connection, replies, self.clock())
        return [reply.reply_id for reply in replies]

    async def _mend(self, connection: AsyncConnection, histories: Sequence[DeliveryHistory]) -> list[str]:
        """Write the deliveries whose rows are behind the topic; gives their ids."""
        rows = await lock_deliveries(connection, [history.last.delivery_id for history in histories])
        replies = await replies_of(connection, [history.last.reply_id for history in histories])
        behind = [
            rebuild_delivery(history, replies[last.reply_id], self.intake.chooser, rows.get(last.delivery_id))
            for history in histories
            if (last := history.last).reply_id in replies and is_behind(rows.get(last.delivery_id), last)
        ]
        await upsert_rebuilt(connection, behind, self.clock())
        return [delivery.delivery_id for delivery in behind]

    async def _plan(self, connection: AsyncConnection, reply_ids: Sequence[str]) -> list[str]:
        """Plan the replies that have no delivery: never reserved, they were never sent."""
        waiting = await without_delivery(connection, reply_ids)
        await self.intake.plan_first_deliveries(connection, list((await replies_of(connection, waiting)).values()))
        return list(waiting)

    async def _apply_reports(self, connection: AsyncConnection, reports: Sequence[DeliveryReported]) -> list[str]:
        await self.intake.apply_reports(connection, reports)
        return []

    async def _read(self, topic: str, kind: type[_Kind], since: datetime | None) -> AsyncGenerator[_Kind]:
        records = read_records_since(self.brokers, [topic], since) if since else read_all_records(self.brokers, [topic])
        async for received in records:
            for event in _events([received], kind):
                yield event


def _events(records: Sequence[ReceivedRecord], kind: type[_Kind]) -> Iterator[_Kind]:
    """The readable events; the consumer dead-letters the others."""
    for received in records:
        with suppress(Poison):
            event = received.event((kind,))
            if isinstance(event, kind):
                yield event


def _id_of(item: object) -> str:
    match item:
        case str():
            return item
        case DeliveryHistory():
            return item.last.delivery_id
        case ReplyRequested() | DeliveryReported():
            return item.reply_id
        case _:
            return ""
