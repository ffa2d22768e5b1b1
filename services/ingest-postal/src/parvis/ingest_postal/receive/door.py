"""The door: each settled file becomes a contact on Kafka, and only then leaves the folder."""

import asyncio
import hashlib
import math
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.errors import Poison, Unavailable
from parvis.common.runtime import metrics
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.ingest_postal.receive.acceptance import Acceptance
from parvis.ingest_postal.receive.arrival import NOTE_LIMIT_BYTES, Arrival
from parvis.ingest_postal.receive.dropbox import DropBox, Held, Waiting
from parvis.ingest_postal.receive.returned import Returns, came_back
from parvis.ingest_postal.receive.watch import Watch
from parvis.ingest_postal.verify import verify

log = logger()
_LONGEST_WAIT_S = 15.0
_BACKLOG, _COUNTED_EVERY_S = 50, 30.0  # how many files are worth a line in the log, and how often
_SOME = 20  # letters a reader takes between two looks into the folder


@dataclass
class Door:
    """The watched folder's door.

    Promises: a file leaves ready/ for done/ only after its blobs are durable and Kafka has acknowledged its contact; while the world is
              away it stays where it is. The same bytes in the same drop box are the same contact, however often they come.
    """

    box: DropBox
    watch: Watch
    acceptance: Acceptance
    returns: Returns
    health: Health
    size_limit_bytes: int
    poll_s: float
    at_once: int = 1
    clock: Clock = now
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _failures: int = field(default=1, init=False)  # until the first success nothing is known to be there
    _stuck: set[str] = field(default_factory=set[str], init=False)
    _accepted: int = field(default=0, init=False)  # since the backlog was last counted
    _counted_at_s: float = field(default=-math.inf, init=False)

    async def run(self, stopping: asyncio.Event) -> None:
        """Look into the folder until told to stop; what is in hand then is finished, or stays in ready/."""
        self._stopping = stopping
        while not stopping.is_set():
            taken = await self.look()
            if taken and not self._failures:
                continue
            await self._pause(min(self.poll_s * 2 ** max(self._failures - 1, 0), _LONGEST_WAIT_S))

    async def look(self) -> int:
        """Take what is settled, some files at a time; the number taken."""
        try:
            files = await asyncio.to_thread(self.box.waiting)
        except OSError as error:
            self._delay(self.box.kind, Unavailable(f"the {self.box.kind} does not answer: {_say(error)}"))
            return 0
        self.health.mark_ok(self.box.kind)
        self.watch.look(files, at=self.clock(), clock_s=time.monotonic())
        self._count(files)
        await self._put_hopeless_aside(files)
        settled = self.watch.settled(files, clock_s=time.monotonic())
        if self._failures and not settled:
            await self._recover()
        return await self._take_some(settled)

    async def _recover(self) -> None:
        """Nothing waits for what was away: ask whether it is back, or /ready would say no for ever."""
        try:
            await self.acceptance.readers.open()
            await self.acceptance.producer.check()
        except Unavailable as error:
            self._delay("letters", error)
        else:
            self._go_on()

    async def _take_some(self, settled: list[Waiting]) -> int:
        """The oldest first; while the world is away one at a time, and not always the same: it may be the file."""
        if self._failures and settled:
            settled = [settled[self._failures % len(settled)]]
        queue = iter(settled[: _SOME * self.at_once])
        async with asyncio.TaskGroup() as group:
            takers = [group.create_task(self._take_from(queue)) for _ in range(self.at_once)]
        return sum(taker.result() for taker in takers)

    async def _take_from(self, queue: Iterator[Waiting]) -> int:
        taken = 0
        for file in queue:
            taken += await self._take_or_wait(file)
            if self._failures or self._stopping.is_set():
                break
        return taken

    async def _take_or_wait(self, file: Waiting) -> bool:
        try:
            return await self._take(file)
        except Unavailable as error:
            self._delay("letters", error)
        except Poison as error:
            self.watch.found_fault(file, str(error))
        except OSError as error:  # this one file: no permission, a bad sector
            self.watch.found_trouble(file, f"the file cannot be read: {_say(error)}", clock_s=time.monotonic())
        return False

    async def _take(self, file: Waiting) -> bool:
        held = await asyncio.to_thread(self.box.hold, file)
        if held is None:
            return False
        try:
            return await self._take_held(file, held)
        finally:
            await asyncio.to_thread(held.release)

    async def _take_held(self, file: Waiting, held: Held) -> bool:
        started_s = time.monotonic()
        content = await asyncio.to_thread(held.read, self.size_limit_bytes + 1)
        verdict = verify(content, size_limit_bytes=self.size_limit_bytes)
        if verdict.fault or verdict.media_type is None:
            self.watch.found_fault(file, verdict.fault or "the file is no scan")
            return False
        if not await asyncio.to_thread(held.unchanged):
            return False
        arrival = Arrival(
            self.watch.first_seen_at(file), await asyncio.to_thread(self.box.note_beside, file, NOTE_LIMIT_BYTES)
        )
        if came_back(file):
            if await self.returns.report(await self.acceptance.read(content, verdict.media_type), arrival):
                await self._move_on(file, hashlib.sha256(content).hexdigest())
                self._go_on()
                return True
            arrival = replace(arrival, remarks=("returned-letter",))
        async for contact in self.acceptance.accept(content, verdict.media_type, arrival):
            self._tell(contact, time.monotonic() - started_s)
        await self._move_on(file, hashlib.sha256(content).hexdigest())
        self._go_on()
        return True

    async def _move_on(self, file: Waiting, digest: str) -> None:
        try:
            await asyncio.to_thread(self.box.finish, file, digest)
        except (
            OSError
        ) as error:  # accepted already: to be sent again with the same id is harmless, to be put aside is not
            raise Unavailable(f"a letter cannot be moved to done: {_say(error)}") from error

    async def _put_hopeless_aside(self, files: list[Waiting]) -> None:
        for file, reason in self.watch.hopeless(files, clock_s=time.monotonic()):
            try:
                await asyncio.to_thread(self.box.put_aside, file, reason)
            except OSError as error:
                if file.name not in self._stuck:  # said once, not at every look
                    log.warning("file.stuck", channel="post", reason=f"{reason}; it cannot be put aside: {_say(error)}")
                self._stuck.add(file.name)
                continue
            metrics.contacts_refused.labels("post", "quarantined").inc()
            log.error("file.quarantined", channel="post", reason=reason, size_bytes=file.mark.size_bytes)
        self._stuck &= {file.name for file in files}

    def _count(self, files: list[Waiting]) -> None:
        metrics.scans_waiting.set(len(files))
        metrics.scans_oldest_seconds.set(self.watch.oldest_s(self.clock()))
        if len(files) >= _BACKLOG and time.monotonic() >= self._counted_at_s + _COUNTED_EVERY_S:
            log.info("backlog.counted", channel="post", count=self._accepted, total=len(files))
            self._accepted, self._counted_at_s = 0, time.monotonic()

    def _delay(self, part: str, error: Unavailable) -> None:
        self._failures = min(self._failures + 1, 10)
        self.health.mark_failing(part, str(error))
        log.warning("contact.postponed", channel="post", reason=str(error), attempt=self._failures)

    async def _pause(self, wait_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._stopping.wait()

    def _go_on(self) -> None:
        self._failures = 0
        self.health.mark_ok("letters")
        self.health.mark_ok("kafka")

    def _tell(self, contact: ContactReceived, elapsed_s: float) -> None:
        self._accepted += 1
        metrics.contacts_received.labels("post").inc()
        metrics.accept_seconds.labels("post").observe(elapsed_s)
        log.info(
            "contact.received",
            contact_id=contact.contact_id,
            channel="post",
            size_bytes=contact.original.size_bytes,
            pages=len(contact.attachments),
            confidence=round(contact.ocr.confidence, 2) if contact.ocr else None,
            reason=contact.unreadable,
            elapsed_ms=round(elapsed_s * 1000),
        )


def _say(error: OSError) -> str:
    """What the system says, without the file's name: it may hold a citizen's."""
    return os.strerror(error.errno) if error.errno else "no reason given"
