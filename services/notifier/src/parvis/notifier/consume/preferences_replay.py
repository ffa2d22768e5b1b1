"""Replays all of preference.changed into the database at startup. Nothing is sent before it has finished."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from parvis.common.bus.connection import Brokers
from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.errors import Poison, Unavailable
from parvis.common.contract.preference import PreferenceChanged
from parvis.common.runtime.backoff import Backoff
from parvis.common.runtime.health import Health
from parvis.common.runtime.interruptible_waits import sleep_unless_stopped
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database
from parvis.notifier.consume.ledger_rebuild import LedgerRebuild
from parvis.notifier.store.preferences import record_preferences

log = logger()
BATCH = 500


@dataclass
class PreferencesReplay:
    """Reads the topic up to its end at startup, then lets sending begin; the consumer brings later changes.

    Usually the rows exist already: the replay adds those that a restored backup has lost. The rebuild of the ledger, which also
    runs before sending begins, does the same for deliveries.
    """

    brokers: Brokers
    topic: str
    database: Database
    health: Health
    preferences_read: asyncio.Event
    ledger_rebuild: LedgerRebuild

    async def run(self, stopping: asyncio.Event) -> None:
        backoff = Backoff(first_s=0.5, longest_s=10)
        while not stopping.is_set():
            try:
                count = await self.replay()
                await self.ledger_rebuild.rebuild_if_behind()
            except Unavailable as error:
                wait_s = backoff.next_wait_s()
                self.health.mark_failing("preferences", str(error))
                log.warning("preferences-replay.delayed", reason=str(error), wait_s=wait_s)
                await sleep_unless_stopped(stopping, wait_s)
                continue
            self.health.mark_ok("preferences")
            log.info("preferences.read", count=count)
            self.preferences_read.set()
            await stopping.wait()

    async def replay(self) -> int:
        """Record every preference of the topic; gives their number."""
        count = 0
        batch: dict[str, PreferenceChanged] = {}
        async for received in read_all_records(self.brokers, [self.topic]):
            with suppress(Poison):  # the consumer dead-letters it
                event = received.event((PreferenceChanged,))
                if isinstance(event, PreferenceChanged):
                    batch[received.event_id] = event
                    count += 1
            if len(batch) >= BATCH:
                await self._record(batch)
                batch = {}
        await self._record(batch)
        return count

    async def _record(self, batch: dict[str, PreferenceChanged]) -> None:
        """Record a batch. If it fails, each preference is recorded alone; one that PostgreSQL refuses is logged and left out."""
        try:
            async with self.database.transaction() as connection:
                await record_preferences(connection, batch)
        except DBAPIError:
            if len(batch) == 1:
                log.exception("preference.not_stored", code=next(iter(batch)), reason="PostgreSQL refuses its value")
                return
            for event_id, preference in batch.items():
                await self._record({event_id: preference})
