"""Spools messages on this machine's disk while Kafka is away, and publishes them when it is back."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from parvis.common.contract.errors import Poison, Rejected, Unavailable
from parvis.common.runtime import metrics
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.health import Health
from parvis.common.runtime.interruptible_waits import sleep_unless_stopped
from parvis.common.runtime.logs import logger
from parvis.ingest_sms.parse.webhook_form import parse_form_fields, parse_inbound_message
from parvis.ingest_sms.receive.message_intake import MessageIntake, ReceivedMessage
from parvis.ingest_sms.store.message_spool import MessageSpool, SpooledMessage

log = logger()
_INTERVAL_S = 5.0
_DEADLINE_S = 8.0
_PATIENCE_S = 20.0


@dataclass(frozen=True)
class SpoolFallback:
    """Accepts the messages that Twilio sends to the fallback URL when the webhook does not answer.

    Gives:  spool_message() returns once the message is fsynced, with its signature and the time of its first delivery.
    Raises: Unavailable, when the disk fails.
    """

    spool: MessageSpool
    intake: MessageIntake
    accounts: frozenset[str]
    health: Health
    clock: Clock = now
    _published: set[str] = field(
        default_factory=set[str]
    )  # published files that could not be deleted, so as not to publish them again

    async def spool_message(self, received: ReceivedMessage, *, signature: str, path: str) -> None:
        message = received.message
        await asyncio.to_thread(
            self.spool.write, message.message_sid, received.raw_bytes,
            received_at=received.received_at, signature=signature, path=path,
        )  # fmt: skip
        log.info("message.spooled", contact_id=message.contact_id, size_bytes=len(received.raw_bytes))

    async def run(self, stopping: asyncio.Event) -> None:
        """Publish the spooled messages, oldest first, until the service stops."""
        while not stopping.is_set():
            await self._report_backlog()
            try:
                await self._drain(stopping)
            except (Unavailable, TimeoutError) as error:
                log.warning("spool.delayed", reason=str(error) or "too slow", wait_s=_INTERVAL_S)
            await self._report_backlog()
            await sleep_unless_stopped(stopping, _INTERVAL_S)

    async def _drain(self, stopping: asyncio.Event) -> None:
        for file in await asyncio.to_thread(self.spool.list_files):
            if stopping.is_set():
                return
            if file.name not in self._published:
                await self._publish(file)
            if file.name in self._published:
                await self._delete(file)

    async def _publish(self, file: Path) -> None:
        """Publish one message, or quarantine its file: a damaged file never blocks the others."""
        try:
            spooled = await asyncio.to_thread(self.spool.read, file)
            await self.intake.accept(self._parse(spooled), patience_s=_PATIENCE_S, deadline_s=_DEADLINE_S)
            self._published.add(file.name)
        except FileNotFoundError:
            return
        except (Rejected, Poison) as error:
            await self._quarantine(file, str(error))

    def _parse(self, spooled: SpooledMessage) -> ReceivedMessage:
        message = parse_inbound_message(parse_form_fields(spooled.body), self.accounts)
        return ReceivedMessage(message, spooled.body, spooled.received_at)

    async def _quarantine(self, file: Path, reason: str) -> None:
        metrics.sms_spool_quarantined.inc()
        log.error("spooled-message.quarantined", file=file.name, reason=reason)
        try:
            await asyncio.to_thread(self.spool.quarantine, file)
        except OSError as error:
            log.error("spooled-file.stuck", file=file.name, reason=f"cannot be renamed: {error.strerror}")  # noqa: TRY400

    async def _delete(self, file: Path) -> None:
        try:
            await asyncio.to_thread(self.spool.delete, file)
        except OSError as error:
            log.error("spooled-file.stuck", file=file.name, reason=f"cannot be deleted: {error.strerror}")  # noqa: TRY400
        else:
            self._published.discard(file.name)

    async def _report_backlog(self) -> None:
        """Show the number and age of waiting messages on /ready. A backlog does not make the fallback unready."""
        try:
            waiting = await asyncio.to_thread(self.spool.list_files)
            oldest_s = await asyncio.to_thread(self.spool.oldest_age_s, self.clock())
        except Unavailable as error:
            self.health.mark_failing("spool", str(error))
            return
        self.health.mark_ok("spool")
        self.health.add_note("spooled", f"{len(waiting)}, the oldest for {oldest_s:.0f} s" if waiting else "none")
        metrics.sms_spooled.set(len(waiting))
        metrics.sms_spooled_oldest_seconds.set(oldest_s)
