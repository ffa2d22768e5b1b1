"""The whole log of preference.changed in, rows out: nothing is sent before it was read (promise 9)."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from parvis.common.bus.admin import read_all_records
from parvis.common.contract.errors import Poison, Unavailable
from parvis.common.contract.preference import PreferenceChanged
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database
from parvis.notifier.store.preferences import record_preferences

log = logger()
BATCH = 500


@dataclass
class Preferences:
    """Reads the log up to where it stood at our start; the consumer brings what comes later.

    The rows are there already when the database is: what this adds is what a restored backup has lost (promise 11).
    """

    bootstrap: str
    topic: str
    database: Database
    health: Health
    read: asyncio.Event
    before_opening: Callable[[], Awaitable[None]] | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        wait_s = 0.5
        while not stopping.is_set():
            try:
                count = await self._read()
                if self.before_opening:
                    await self.before_opening()
            except Unavailable as error:
                self.health.mark_failing("preferences", str(error))
                log.warning("preferences.delayed", reason=str(error), wait_s=wait_s)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), wait_s)
                wait_s = min(wait_s * 2, 10)
                continue
            self.health.mark_ok("preferences")
            log.info("preferences.read", count=count)
            self.read.set()
            await stopping.wait()

    async def _read(self) -> int:
        count = 0
        batch: dict[str, PreferenceChanged] = {}
        async for received in read_all_records(self.bootstrap, [self.topic]):
            with suppress(Poison):  # the consumer brings it to the dead letters
                event = received.event((PreferenceChanged,))
                if isinstance(event, PreferenceChanged):
                    batch[received.event_id] = event
                    count += 1
            if len(batch) >= BATCH:
                await self._keep(batch)
                batch = {}
        await self._keep(batch)
        return count

    async def _keep(self, batch: dict[str, PreferenceChanged]) -> None:
        async with self.database.transaction() as connection:
            await record_preferences(connection, batch)
