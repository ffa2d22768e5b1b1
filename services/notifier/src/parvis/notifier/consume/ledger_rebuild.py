"""The topics since the backup in, the ledger as it must stand out: nothing that may have left is sent again (promise 11)."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.admin import last_record_of_each_partition, read_all_records, read_records_since
from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.contract.delivery import DeliveryReported, DeliveryUpdated
from parvis.common.contract.errors import Poison
from parvis.common.contract.event import Event
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database
from parvis.notifier.consume.kafka_intake import Intake
from parvis.notifier.decide.delivery_history import Told, folded, is_behind, rebuilt
from parvis.notifier.store import deliveries as rows
from parvis.notifier.store import unresolved_deliveries
from parvis.notifier.store.recipient_lookup import addressed
from parvis.notifier.store.replies import record_replies, replies_of

log = logger()
BATCH = 500
_MARGIN = timedelta(hours=1)  # clocks, and transactions that were open when the backup was made
_Kind = TypeVar("_Kind", bound=Event)


@dataclass(frozen=True)
class Topics:
    asked: str
    told: str
    reported: str


@dataclass
class Rebuilding:
    """Brings a database that is older than Kafka up to what Kafka knows."""

    bootstrap: str
    topics: Topics
    database: Database
    intake: Intake
    clock: Clock = now

    async def if_behind(self) -> None:
        """At every start: the newest words of the topic, held against the ledger. Twelve records, where all is well."""
        newest = list(_events(await last_record_of_each_partition(self.bootstrap, [self.topics.told]), DeliveryUpdated))
        async with self.database.transaction() as connection:
            stands = await rows.lock(connection, [event.delivery_id for event in newest])
        if any(is_behind(stands.get(event.delivery_id), event) for event in newest):
            log.warning("ledger.outdated", count=len(newest))
            await self.rebuild()

    async def rebuild(self, since: datetime | None = None) -> int:
        """Read what was asked, told and reported since the ledger's newest word, an hour earlier; how many rows were mended."""
        async with self.database.transaction() as connection:
            newest = await unresolved_deliveries.newest_word(connection)
        since = since or (newest - _MARGIN if newest else None)
        asked = await self._record(since)
        mended = await self._mend(
            folded([event async for event in self._read(self.topics.told, DeliveryUpdated, since)])
        )
        await self._plan(asked)
        reports = [event async for event in self._read(self.topics.reported, DeliveryReported, since)]
        for begin in range(0, len(reports), BATCH):
            async with self.database.transaction() as connection:
                await self.intake.report(connection, reports[begin : begin + BATCH])
        log.warning("ledger.rebuilt", count=mended, total=len(asked))
        return mended

    async def _record(self, since: datetime | None) -> list[str]:
        ids: list[str] = []
        batch: list[ReplyRequested] = []
        async for event in self._read(self.topics.asked, ReplyRequested, since):
            batch.append(event)
            if len(batch) >= BATCH:
                ids += await self._keep(batch)
                batch = []
        return ids + await self._keep(batch)

    async def _keep(self, batch: Sequence[ReplyRequested]) -> list[str]:
        async with self.database.transaction() as connection:
            replies = await addressed(connection, list({reply.reply_id: reply for reply in reversed(batch)}.values()))
            await record_replies(connection, replies, self.clock())
        return [reply.reply_id for reply in replies]

    async def _mend(self, told: dict[str, Told]) -> int:
        names, mended = list(told), 0
        for begin in range(0, len(names), BATCH):
            async with self.database.transaction() as connection:
                mended += await self._mend_batch(
                    connection, {name: told[name] for name in names[begin : begin + BATCH]}
                )
        return mended

    async def _mend_batch(self, connection: AsyncConnection, told: dict[str, Told]) -> int:
        stands = await rows.lock(connection, list(told))
        replies = await replies_of(connection, [one.last.reply_id for one in told.values()])
        behind = [
            rebuilt(one, replies[one.last.reply_id], self.intake.addressing, stands.get(name))
            for name, one in told.items()
            if one.last.reply_id in replies and is_behind(stands.get(name), one.last)
        ]
        await rows.put(connection, behind, self.clock())
        return len(behind)

    async def _plan(self, asked: Sequence[str]) -> None:
        """What was asked for and never reserved surely never left: it is planned as if it came now."""
        for begin in range(0, len(asked), BATCH):
            async with self.database.transaction() as connection:
                waiting = await unresolved_deliveries.without_delivery(connection, asked[begin : begin + BATCH])
                await self.intake.plan(connection, list((await replies_of(connection, waiting)).values()))

    async def _read(self, topic: str, kind: type[_Kind], since: datetime | None) -> AsyncGenerator[_Kind]:
        records = (
            read_records_since(self.bootstrap, [topic], since) if since else read_all_records(self.bootstrap, [topic])
        )
        async for received in records:
            for event in _events([received], kind):
                yield event


def _events(records: Sequence[ReceivedRecord], kind: type[_Kind]) -> Iterator[_Kind]:
    """Those that can be read: the consumer brings the others to the dead letters."""
    for received in records:
        with suppress(Poison):
            event = received.event((kind,))
            if isinstance(event, kind):
                yield event
