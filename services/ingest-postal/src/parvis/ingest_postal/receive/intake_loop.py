"""Polls the drop box, publishes each settled file and moves it to done or to quarantine."""

import asyncio
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.errors import Poison, Unavailable
from parvis.common.runtime import metrics
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.health import Health
from parvis.common.runtime.interruptible_waits import sleep_unless_stopped
from parvis.common.runtime.logs import logger
from parvis.ingest_postal.parse.receipt_date import NOTE_LIMIT_BYTES, ScanArrival
from parvis.ingest_postal.ports.drop_box import DropBox, FileFingerprint, LockedScan, WaitingScan
from parvis.ingest_postal.receive.returned_letters import ReturnedLetters, is_returned_letter
from parvis.ingest_postal.receive.scan_intake import ScanIntake, sha256_of
from parvis.ingest_postal.receive.settled_files import SettledFiles
from parvis.ingest_postal.verify.file_integrity import check_file_integrity

log = logger()
_LONGEST_WAIT_S, _MAX_DOUBLINGS = 15.0, 10
_BACKLOG, _COUNTED_EVERY_S = 50, 30.0  # the number of files from which a backlog is logged, and how often
_FILES_PER_POLL = 20  # letters that a reader takes between two polls


@dataclass(frozen=True)
class _AcceptedFile:
    """A file whose contacts are published and that could not be moved yet."""

    fingerprint: FileFingerprint
    digest: str


@dataclass
class IntakeLoop:
    """Publishes every settled file of the drop box, then moves it to done.

    Promises: a file leaves ready/ for done/ only after its blobs are durable and Kafka has acknowledged its contact; while one of
              them is unavailable it stays in ready/. The same bytes in the same drop box give the same contact id. A file that cannot
              be read or moved is logged and never stops the others.
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
    _failures: int = field(default=1, init=False)  # unready until the first success
    _stuck: set[str] = field(default_factory=set[str], init=False)
    _unmoved: dict[str, _AcceptedFile] = field(default_factory=dict[str, _AcceptedFile], init=False)
    _accepted: int = field(default=0, init=False)  # since the backlog was last counted
    _counted_at_s: float = field(default=-math.inf, init=False)

    async def run(self, stopping: asyncio.Event) -> None:
        """Poll until the service stops. A file in progress is then finished, or stays in ready/."""
        self._stopping = stopping
        while not stopping.is_set():
            accepted = await self.poll()
            if accepted and not self._failures:
                continue
            doublings = min(max(self._failures - 1, 0), _MAX_DOUBLINGS)
            await sleep_unless_stopped(stopping, min(self.poll_s * 2**doublings, _LONGEST_WAIT_S))

    async def poll(self) -> int:
        """Process the settled files, `concurrency` at a time. Gives: the number of files accepted and moved."""
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
        self._forget_gone(files)
        settled = self.settled_files.settled(files, clock_s=time.monotonic())
        if self._failures and not settled:
            await self._check_recovery()
        return await self._process_some(settled)

    async def _check_recovery(self) -> None:
        """Check Kafka while no file waits: otherwise /ready would stay unready for ever."""
        try:
            await self.scan_intake.reader_pool.open()
            await self.scan_intake.producer.check()
        except Unavailable as error:
            self._record_failure("letters", error)
        else:
            self._mark_recovered()

    async def _process_some(self, settled: list[WaitingScan]) -> int:
        """Process the oldest files first; after a failure one file at a time, each time another: the file itself may be the cause."""
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
        except OSError as error:  # a fault of this file only: no permission, a bad sector
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
        accepted = self._unmoved.get(file.name)
        if accepted and accepted.fingerprint == file.fingerprint:
            return await self._move_to_done(file, accepted.digest)
        started_s = time.monotonic()
        content = await asyncio.to_thread(locked.read, self.size_limit_bytes + 1)
        verdict = check_file_integrity(content, size_limit_bytes=self.size_limit_bytes)
        if verdict.fault or verdict.media_type is None:
            self.settled_files.mark_faulty(file, verdict.fault or "the file is not a scan")
            return False
        if not await asyncio.to_thread(locked.is_unchanged):
            return False
        arrival = ScanArrival(
            self.settled_files.first_seen_at(file),
            await asyncio.to_thread(self.drop_box.read_note, file, NOTE_LIMIT_BYTES),
        )
        digest = await asyncio.to_thread(
            sha256_of, content
        )  # once per file, and outside the event loop: it may be 50 MB
        reported = 0
        if is_returned_letter(file):
            reading = await self.scan_intake.read(content, verdict.media_type)
            reported = await self.returned_letters.report(reading, arrival)
            arrival = replace(arrival, remarks=("returned-letter",))
        if not reported:
            async for contact in self.scan_intake.accept(content, verdict.media_type, arrival, digest=digest):
                self._record_contact(contact, time.monotonic() - started_s)
        self._mark_recovered()
        return await self._move_to_done(file, digest)

    async def _move_to_done(self, file: WaitingScan, digest: str) -> bool:
        """Move an accepted file. Gives: False when it cannot be moved; each poll then tries again, and nothing is published again."""
        try:
            await asyncio.to_thread(self.drop_box.move_to_done, file, digest)
        except OSError as error:  # not quarantined: somebody would scan the accepted letter again
            self._unmoved[file.name] = _AcceptedFile(file.fingerprint, digest)
            self._log_stuck(file, f"the letter is accepted and cannot be moved to done: {_describe_os_error(error)}")
            return False
        return True

    async def _quarantine_overdue(self, files: list[WaitingScan]) -> None:
        for file, reason in self.settled_files.overdue(files, clock_s=time.monotonic()):
            try:
                await asyncio.to_thread(self.drop_box.quarantine, file, reason)
            except OSError as error:
                self._log_stuck(file, f"{reason}; it cannot be quarantined: {_describe_os_error(error)}")
                continue
            metrics.contacts_refused.labels("post", "quarantined").inc()
            log.error("file.quarantined", channel="post", reason=reason, size_bytes=file.fingerprint.size_bytes)

    def _log_stuck(self, file: WaitingScan, reason: str) -> None:
        """Log a file that cannot be moved, once and not at every poll."""
        if file.name not in self._stuck:
            log.warning("file.stuck", channel="post", reason=reason)
        self._stuck.add(file.name)

    def _forget_gone(self, files: list[WaitingScan]) -> None:
        names = {file.name for file in files}
        self._stuck &= names
        self._unmoved = {name: accepted for name, accepted in self._unmoved.items() if name in names}

    def _report_backlog(self, files: list[WaitingScan]) -> None:
        metrics.scans_waiting.set(len(files))
        metrics.scans_oldest_seconds.set(self.settled_files.oldest_age_s(self.clock()))
        if len(files) >= _BACKLOG and time.monotonic() >= self._counted_at_s + _COUNTED_EVERY_S:
            log.info("scan-backlog.counted", channel="post", count=self._accepted, total=len(files))
            self._accepted, self._counted_at_s = 0, time.monotonic()

    def _record_failure(self, part: str, error: Unavailable) -> None:
        self._failures += 1
        self.health.mark_failing(part, str(error))
        log.warning("intake.deferred", channel="post", reason=str(error), attempt=self._failures)

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
    """The system's message without the file name, which may contain a citizen's name."""
    return os.strerror(error.errno) if error.errno else "unknown error"
