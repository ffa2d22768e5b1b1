"""Polls the drop box and publishes each settled file before it moves the file on."""

import asyncio
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
from parvis.ingest_postal.parse.receipt_date import NOTE_LIMIT_BYTES, ScanArrival
from parvis.ingest_postal.ports.drop_box import DropBox, LockedScan, WaitingScan
from parvis.ingest_postal.receive.returned_letters import ReturnedLetters, is_returned_letter
from parvis.ingest_postal.receive.scan_intake import ScanIntake, sha256_of
from parvis.ingest_postal.receive.settled_files import SettledFiles
from parvis.ingest_postal.verify.file_integrity import check_file_integrity

log = logger()
_LONGEST_WAIT_S = 15.0
_BACKLOG, _COUNTED_EVERY_S = 50, 30.0  # how many files are worth a line in the log, and how often
_FILES_PER_POLL = 20  # letters a reader takes between two looks into the folder


@dataclass
class IntakeLoop:
    """Publishes every settled file of the drop box, then moves it on.

    Promises: a file leaves ready/ for done/ only after its blobs are durable and Kafka has acknowledged its contact; while the world is
              away it stays where it is. The same bytes in the same drop box are the same contact, however often they come.
    """

    drop_box: DropBox
    settled_files: SettledFiles
    scan_intake: ScanIntake
    returned_letters: ReturnedLetters
    health: Health
    size_limit_bytes: int
    poll_s: float
    concurrency: int = 1
    clock: Clock = now
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _failures: int = field(default=1, init=False)  # until the first success nothing is known to be there
    _stuck: set[str] = field(default_factory=set[str], init=False)
    _accepted: int = field(default=0, init=False)  # since the backlog was last counted
    _counted_at_s: float = field(default=-math.inf, init=False)

    async def run(self, stopping: asyncio.Event) -> None:
        """Poll until the service stops; a file in progress then is finished, or stays in ready/."""
        self._stopping = stopping
        while not stopping.is_set():
            accepted = await self.poll()
            if accepted and not self._failures:
                continue
            await self._pause(min(self.poll_s * 2 ** max(self._failures - 1, 0), _LONGEST_WAIT_S))

    async def poll(self) -> int:
        """Process the settled files, some at a time. Gives how many were accepted."""
        try:
            files = await asyncio.to_thread(self.drop_box.list_waiting)
        except OSError as error:
            self._record_failure(
                self.drop_box.kind,
                Unavailable(f"the {self.drop_box.kind} does not answer: {_describe_os_error(error)}"),
            )
            return 0
        self.health.mark_ok(self.drop_box.kind)
        self.settled_files.update(files, at=self.clock(), clock_s=time.monotonic())
        self._report_backlog(files)
        await self._quarantine_overdue(files)
        settled = self.settled_files.settled(files, clock_s=time.monotonic())
        if self._failures and not settled:
            await self._check_recovery()
        return await self._process_some(settled)

    async def _check_recovery(self) -> None:
        """No file waits that would show whether Kafka is back: ask, or /ready would stay unready for ever."""
        try:
            await self.scan_intake.reader_pool.open()
            await self.scan_intake.producer.check()
        except Unavailable as error:
            self._record_failure("letters", error)
        else:
            self._mark_recovered()

    async def _process_some(self, settled: list[WaitingScan]) -> int:
        """The oldest first; after failures one at a time, and not always the same: the file itself may be the cause."""
        if self._failures and settled:
            settled = [settled[self._failures % len(settled)]]
        queue = iter(settled[: _FILES_PER_POLL * self.concurrency])
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._process_queue(queue)) for _ in range(self.concurrency)]
        return sum(task.result() for task in tasks)

    async def _process_queue(self, queue: Iterator[WaitingScan]) -> int:
        accepted = 0
        for file in queue:
            accepted += await self._process_safely(file)
            if self._failures or self._stopping.is_set():
                break
        return accepted

    async def _process_safely(self, file: WaitingScan) -> bool:
        try:
            return await self._process(file)
        except Unavailable as error:
            self._record_failure("letters", error)
        except Poison as error:
            self.settled_files.mark_faulty(file, str(error))
        except OSError as error:  # this one file: no permission, a bad sector
            self.settled_files.mark_unreadable(
                file, f"the file cannot be read: {_describe_os_error(error)}", clock_s=time.monotonic()
            )
        return False

    async def _process(self, file: WaitingScan) -> bool:
        locked = await asyncio.to_thread(self.drop_box.lock, file)
        if locked is None:
            return False
        try:
            return await self._process_locked(file, locked)
        finally:
            await asyncio.to_thread(locked.release)

    async def _process_locked(self, file: WaitingScan, locked: LockedScan) -> bool:
        started_s = time.monotonic()
        content = await asyncio.to_thread(locked.read, self.size_limit_bytes + 1)
        verdict = check_file_integrity(content, size_limit_bytes=self.size_limit_bytes)
        if verdict.fault or verdict.media_type is None:
            self.settled_files.mark_faulty(file, verdict.fault or "the file is no scan")
            return False
        if not await asyncio.to_thread(locked.is_unchanged):
            return False
        arrival = ScanArrival(
            self.settled_files.first_seen_at(file),
            await asyncio.to_thread(self.drop_box.read_note, file, NOTE_LIMIT_BYTES),
        )
        digest = await asyncio.to_thread(sha256_of, content)  # once a pass, and not in the event loop: it may be 50 MB
        if is_returned_letter(file):
            if await self.returned_letters.report(await self.scan_intake.read(content, verdict.media_type), arrival):
                await self._move_to_done(file, digest)
                self._mark_recovered()
                return True
            arrival = replace(arrival, remarks=("returned-letter",))
        async for contact in self.scan_intake.accept(content, verdict.media_type, arrival, digest=digest):
            self._record_contact(contact, time.monotonic() - started_s)
        await self._move_to_done(file, digest)
        self._mark_recovered()
        return True

    async def _move_to_done(self, file: WaitingScan, digest: str) -> None:
        try:
            await asyncio.to_thread(self.drop_box.move_to_done, file, digest)
        except (
            OSError
        ) as error:  # accepted already: to be sent again with the same id is harmless, to be put aside is not
            raise Unavailable(f"a letter cannot be moved to done: {_describe_os_error(error)}") from error

    async def _quarantine_overdue(self, files: list[WaitingScan]) -> None:
        for file, reason in self.settled_files.overdue(files, clock_s=time.monotonic()):
            try:
                await asyncio.to_thread(self.drop_box.quarantine, file, reason)
            except OSError as error:
                if file.name not in self._stuck:  # logged once, not at every poll
                    log.warning(
                        "file.stuck",
                        channel="post",
                        reason=f"{reason}; it cannot be put aside: {_describe_os_error(error)}",
                    )
                self._stuck.add(file.name)
                continue
            metrics.contacts_refused.labels("post", "quarantined").inc()
            log.error("file.quarantined", channel="post", reason=reason, size_bytes=file.fingerprint.size_bytes)
        self._stuck &= {file.name for file in files}

    def _report_backlog(self, files: list[WaitingScan]) -> None:
        metrics.scans_waiting.set(len(files))
        metrics.scans_oldest_seconds.set(self.settled_files.oldest_age_s(self.clock()))
        if len(files) >= _BACKLOG and time.monotonic() >= self._counted_at_s + _COUNTED_EVERY_S:
            log.info("backlog.counted", channel="post", count=self._accepted, total=len(files))
            self._accepted, self._counted_at_s = 0, time.monotonic()

    def _record_failure(self, part: str, error: Unavailable) -> None:
        self._failures = min(self._failures + 1, 10)
        self.health.mark_failing(part, str(error))
        log.warning("contact.postponed", channel="post", reason=str(error), attempt=self._failures)

    async def _pause(self, wait_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._stopping.wait()

    def _mark_recovered(self) -> None:
        self._failures = 0
        self.health.mark_ok("letters")
        self.health.mark_ok("kafka")

    def _record_contact(self, contact: ContactReceived, elapsed_s: float) -> None:
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


def _describe_os_error(error: OSError) -> str:
    """The system's message without the file's name, which may hold a citizen's."""
    return os.strerror(error.errno) if error.errno else "no reason given"
