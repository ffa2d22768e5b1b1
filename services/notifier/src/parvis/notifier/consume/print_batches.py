"""Batches the day's letters for the print shop: one folder with a manifest, which appears complete or not at all."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.delivery import LetterStage, is_later_stage
from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.health import Health
from parvis.common.runtime.interruptible_waits import sleep_unless_stopped
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database
from parvis.notifier.decide.print_batch import batch_day, batch_name, build_manifest, is_batch_due, is_batch_name
from parvis.notifier.models.letter import ManifestLetter
from parvis.notifier.send.post import forget_posted_batch, gather_batch, publish_batch, read_posted_batches
from parvis.notifier.store import letters as store
from parvis.notifier.store.deliveries import lock_deliveries
from parvis.notifier.store.delivery_ledger import DeliveryLedger

log = logger()
EVERY_S = 20.0


@dataclass
class PrintBatches:
    """Makes a batch at the same hour every day, or as soon as there are enough letters.

    Order: assign letters to the batch in the table; rename each into a hidden folder; rename the folder; close the batch in the
           table. After a crash the next round continues at the same step, and no letter is ever in two folders.
    """

    folder: Path
    database: Database
    ledger: DeliveryLedger
    health: Health
    zone: ZoneInfo
    at: time
    most: int
    clock: Clock = now

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await self.make_due_batches()
                self.health.mark_ok("letters")
            except Unavailable as error:
                self.health.mark_failing("letters", str(error))
                log.warning("print-batches.delayed", reason=str(error), wait_s=EVERY_S)
            await sleep_unless_stopped(stopping, EVERY_S)

    async def make_due_batches(self, *, at_once: bool = False) -> list[str]:
        """Finish interrupted batches and make those that are due; gives the names of the new folders.

        Raises: Unavailable, when PostgreSQL or the folder cannot be used.
        """
        async with self.database.transaction() as holding:
            if not await store.lock_batches(holding):
                return []
            made = await self._finish_open()
            while await self._begin(at_once=at_once):
                made += await self._finish_open()
        await self._take_up_posted()
        return made

    async def _take_up_posted(self) -> None:
        """Take up what the print shop has posted since the last round."""
        try:
            for name in await asyncio.to_thread(read_posted_batches, self.folder):
                await self.record_posted(name)
                await asyncio.to_thread(forget_posted_batch, self.folder, name)
        except OSError as error:
            raise Unavailable(f"the letters folder cannot be read: {type(error).__name__}") from error

    async def record_posted(self, name: str) -> int:
        """Record that the print shop has posted a batch. Gives the number of its letters."""
        async with self.database.transaction() as connection:
            ids = await store.delivery_ids_of(connection, name)
            await self._advance(connection, ids, "posted")
        self.ledger.outbox.wake()
        if ids:
            log.info("print-batch.posted", file=name, count=len(ids))
        else:
            log.warning("print-batch.unknown", file=name)
        return len(ids)

    async def _advance(self, connection: AsyncConnection, ids: Sequence[str], stage: LetterStage) -> None:
        """Note how far letters have come; those that came further already stay."""
        locked = (await lock_deliveries(connection, ids)).values()
        changes = [(old, replace(old, stage=stage)) for old in locked if is_later_stage(stage, old.stage)]
        await self.ledger.write(connection, changes, self.clock())

    async def _begin(self, *, at_once: bool) -> bool:
        at = self.clock()
        async with self.database.transaction() as connection:
            waiting = await store.unbatched_letters(connection)
            is_due = is_batch_due(waiting, at, at=self.at, zone=self.zone, most=self.most)
            if not is_due and not (waiting.count and at_once):
                return False
            known = await store.batch_names(connection, batch_day(at, self.zone))
            await store.make_batch(connection, batch_name(at, self.zone, known), at, self.most)
        return True

    async def _finish_open(self) -> list[str]:
        """Finish every open batch; one whose folder cannot be written does not stop the others."""
        async with self.database.transaction() as connection:
            opened = [
                (name, made_at, await store.letters_of(connection, name))
                for name, made_at in await store.open_batches(connection)
            ]
        made: list[str] = []
        failed: OSError | None = None
        for name, made_at, letters in opened:
            try:
                if await self._finish(name, made_at, letters):
                    made.append(name)
            except OSError as error:
                failed = error
                log.exception("print-batch.failed", file=name, count=len(letters), reason=type(error).__name__)
        if failed:
            raise Unavailable(f"the letters folder cannot be written: {type(failed).__name__}") from failed
        return made

    async def _finish(self, name: str, made_at: datetime, letters: list[ManifestLetter]) -> bool:
        """Gives True if its folder was made now."""
        if not is_batch_name(name):
            async with self.database.transaction() as connection:
                await store.dissolve_batch(connection, name, self.clock())
            log.error("print-batch.dissolved", file=name, count=len(letters), reason="its name is no batch name")
            return False
        moved = await asyncio.to_thread(self._publish, name, made_at, letters)
        async with self.database.transaction() as connection:
            await self._advance(
                connection,
                [letter.delivery_id for letter in letters if moved is None or letter in moved],
                "handed-over",
            )
            await store.close_batch(connection, name, self.clock())
        self.ledger.outbox.wake()
        _log_batch(name, letters, moved)
        return moved is not None

    def _publish(self, name: str, made_at: datetime, letters: list[ManifestLetter]) -> list[ManifestLetter] | None:
        moved = gather_batch(self.folder, name, letters)
        if moved is not None:
            publish_batch(self.folder, name, build_manifest(name, made_at, moved))
        return moved


def _log_batch(name: str, letters: list[ManifestLetter], moved: list[ManifestLetter] | None) -> None:
    if moved is None:
        log.warning(
            "print-batch.dissolved",
            file=name,
            count=len(letters),
            reason="the folder exists or was collected before we closed the batch, or its letters are lost",
        )
        return
    log.info("print-batch.closed", file=name, count=len(moved), pages=sum(letter.pages for letter in moved))
    if len(moved) < len(letters):
        log.error("print-batch.letters_missing", file=name, count=len(letters) - len(moved), channel="post")
