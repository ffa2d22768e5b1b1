"""Rebuilds the cases from the topics beside the real ones, to check or to mend them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import DecodedRecord, ReceivedRecord
from parvis.common.bus.connection import Brokers
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.errors import Poison
from parvis.common.runtime.logs import logger
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.common.town.models import TownConfig
from parvis.desk.consume.case_projection import EVENT_TYPES, CaseProjection
from parvis.desk.models.case import OutgoingEvent
from parvis.desk.store import projection_comparison
from parvis.desk.store.case_transactions import CaseStore
from parvis.desk.store.projection_comparison import Difference

log = logger()
_BATCH = 500


@dataclass(frozen=True)
class RebuildVerdict:
    """What the comparison found before anything was mended."""

    records: int
    unreadable: int
    older_cases: int
    differences: Sequence[Difference]


class SilentCaseStore(CaseStore):
    """Changes cases and publishes nothing."""

    async def add_to_outbox(self, connection: AsyncConnection, events: Sequence[OutgoingEvent]) -> None:
        pass


@dataclass
class ProjectionRebuild:
    """Applies all records of the topics to empty tables beside the real ones, which an interruption therefore leaves whole.

    Order: no desk may run meanwhile.
    """

    brokers: Brokers
    topics: Sequence[str]
    database: Database
    beside: Database  # the same, with the rebuilt tables in the place of the real ones
    outbox: Outbox
    town_config: TownConfig
    prefix: str
    _unreadable: int = field(default=0, init=False)

    async def check(self) -> RebuildVerdict:
        """Compare the cases with those that the topics tell of. Changes none."""
        async with self.database.transaction() as connection:
            await projection_comparison.create_rebuilt_tables(connection)
        records = await self._apply_all(SilentCaseStore(self.beside, self.outbox, self.prefix))
        async with self.database.transaction() as connection:
            older = await projection_comparison.count_older_cases(connection)
            return RebuildVerdict(
                records, self._unreadable, older, await projection_comparison.find_differences(connection)
            )

    async def rebuild(self) -> RebuildVerdict:
        """Insert what the cases lack, with all that follows from it, as the desk does when it reads it; mend what differs."""
        verdict = await self.check()
        if any(difference.missing for difference in verdict.differences):
            await self._apply_all(CaseStore(self.database, self.outbox, self.prefix))
        async with self.database.transaction() as connection:
            await projection_comparison.mend_differences(connection)
        return verdict

    async def drop(self) -> None:
        """Drop the tables that were rebuilt."""
        async with self.database.transaction() as connection:
            await projection_comparison.drop_rebuilt_tables(connection)

    async def _apply_all(self, cases: CaseStore) -> int:
        projection, batch, count = CaseProjection(cases, self.town_config), list[ReceivedRecord](), 0
        self._unreadable = 0
        async for received in read_all_records(self.brokers, self.topics):
            batch.append(received)
            count += 1
            if len(batch) >= _BATCH:
                await self._apply(projection, batch)
                batch = []
        await self._apply(projection, batch)
        return count

    async def _apply(self, projection: CaseProjection, batch: Sequence[ReceivedRecord]) -> None:
        """Apply a batch; one that cannot be applied whole is applied record by record, without those at fault."""
        items: list[DecodedRecord] = []
        for received in batch:
            try:
                items.append(DecodedRecord(received.event(EVENT_TYPES), received))
            except Poison as poison:
                self._leave_out(received, str(poison))
        try:
            await projection.handle(items)
        except Poison:
            for item in items:
                try:
                    await projection.handle([item])
                except Poison as poison:
                    self._leave_out(item.record, str(poison))

    def _leave_out(self, received: ReceivedRecord, reason: str) -> None:
        self._unreadable += 1
        log.warning(
            "record.left_out", topic=received.topic, partition=received.partition, offset=received.offset, reason=reason
        )
