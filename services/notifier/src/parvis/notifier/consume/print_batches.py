"""A letter in, remembered for good; the letters of a day in, one folder with a manifest for the print shop out."""

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.concurrency import first_completed
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database
from parvis.notifier.decide.print_batch import batch_day, batch_name, country_of, is_due, manifest
from parvis.notifier.models.delivery import Outcome
from parvis.notifier.models.letter import Letter
from parvis.notifier.models.message import Parcel
from parvis.notifier.render.letter import pages_of
from parvis.notifier.send.post import Post, gather, publish
from parvis.notifier.store import letters as store

log = logger()
LOOK_EVERY_S = 20.0


@dataclass
class Remembered:
    """The channel of letters: one that was written once is not written again, wherever it is by now.

    Crash: between the file and its row the letter is still ours, for a batch takes letters with a row only; it is written
           again, the same bytes under the same name.
    """

    post: Post
    database: Database
    clock: Clock = now
    provider: str = Post.provider

    async def send(self, parcel: Parcel) -> Outcome:
        try:
            async with self.database.transaction() as connection:
                written = await store.was_written(connection, parcel.delivery.delivery_id)
            if written:
                return Outcome("delivered", written)
            outcome = await self.post.send(parcel)
            if outcome.state == "delivered" and outcome.provider_id:
                async with self.database.transaction() as connection:
                    await store.record_letter(connection, self._letter(parcel, outcome.provider_id))
        except Unavailable as error:
            return Outcome("retry", None, "temporary", f"the list of letters: {error}"[:200])
        return outcome

    async def close(self) -> None:
        await self.post.close()

    def _letter(self, parcel: Parcel, file_name: str) -> Letter:
        return Letter(
            delivery_id=parcel.delivery.delivery_id,
            file_name=file_name,
            sha256=hashlib.sha256(parcel.content).hexdigest(),
            size_bytes=len(parcel.content),
            pages=pages_of(parcel.content),
            country=country_of(parcel.delivery.address),
            reference=parcel.delivery.reference,
            written_at=self.clock(),
        )


@dataclass
class Printing:
    """Makes a batch at the same hour every day, or when there are enough letters.

    Order: the batch's letters are fixed in the table; they are moved, each by a rename; the folder appears, by a rename; the
           table says so. Wherever it breaks off, the next round goes on, and no letter is in two folders.
    """

    post: Post
    database: Database
    health: Health
    zone: ZoneInfo
    at: time
    most: int
    clock: Clock = now

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await self.look()
                self.health.mark_ok("letters")
            except Unavailable as error:
                self.health.mark_failing("letters", str(error))
                log.warning("batches.delayed", reason=str(error), wait_s=LOOK_EVERY_S)
            await first_completed(stopping.wait(), timeout_s=LOOK_EVERY_S)

    async def look(self, *, at_once: bool = False) -> list[str]:
        """Finish what broke off, make what is due; the names of the batches that are there now and were not before.

        Raises: Unavailable, while PostgreSQL or the folder is away.
        """
        async with self.database.transaction() as holding:
            if not await store.lock_batches(holding):
                return []
            made = await self._finish()
            while await self._begin(at_once=at_once):
                made += await self._finish()
            return made

    async def _begin(self, *, at_once: bool) -> bool:
        at = self.clock()
        async with self.database.transaction() as connection:
            waiting = await store.waiting(connection)
            if not (waiting.count and at_once) and not is_due(waiting, at, at=self.at, zone=self.zone, most=self.most):
                return False
            known = await store.batch_names(connection, batch_day(at, self.zone))
            await store.make_batch(connection, batch_name(at, self.zone, known), at, self.most)
        return True

    async def _finish(self) -> list[str]:
        async with self.database.transaction() as connection:
            begun = [
                (name, made_at, await store.letters_of(connection, name))
                for name, made_at in await store.open_batches(connection)
            ]
        made: list[str] = []
        for name, made_at, letters in begun:
            try:
                found = await asyncio.to_thread(self._publish, name, made_at, letters)
            except OSError as error:
                raise Unavailable(f"the folder of letters: {type(error).__name__}") from error
            async with self.database.transaction() as connection:
                await store.close_batch(connection, name, self.clock())
            if found is not None:
                made.append(name)
            _tell(name, letters, found)
        return made

    def _publish(self, name: str, made_at: datetime, letters: list[Letter]) -> list[Letter] | None:
        found = gather(self.post.folder, name, letters)
        if found is not None:
            publish(self.post.folder, name, manifest(name, made_at, found))
        return found


def _tell(name: str, letters: list[Letter], found: list[Letter] | None) -> None:
    if found is None:
        log.warning(
            "batch.gone", file=name, count=len(letters), reason="we stopped while it left, or its letters are lost"
        )
        return
    log.info("batch.closed", file=name, count=len(found), pages=sum(letter.pages for letter in found))
    if len(found) < len(letters):
        log.error("letters.missing", file=name, count=len(letters) - len(found), channel="post")
