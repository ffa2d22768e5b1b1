"""Messages in while the town is away, onto this machine's disk; from there into the town when it is back."""

import asyncio
from dataclasses import dataclass

from parvis.common.contract.errors import ParvisError, Poison, Rejected, Unavailable
from parvis.common.runtime import metrics
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.ingest_sms.parse.form import announcement, read_form
from parvis.ingest_sms.receive.intake import Arrived, Intake
from parvis.ingest_sms.store import Spool, Spooled

log = logger()
_EVERY_S = 5.0
_DEADLINE_S = 8.0
_PATIENCE_S = 20.0


@dataclass(frozen=True)
class Fallback:
    """What Twilio calls when our own door did not answer.

    Gives:  keep() returns when the message is on the disk, with its signature and the instant of this first touch.
    Raises: Unavailable, when the disk does not take it.
    """

    spool: Spool
    intake: Intake
    accounts: frozenset[str]
    health: Health

    async def keep(self, arrived: Arrived, *, signature: str, path: str) -> None:
        sid, at = arrived.told.message_sid, arrived.received_at
        await asyncio.to_thread(self.spool.keep, sid, arrived.raw, received_at=at, signature=signature, path=path)
        log.info("message.spooled", contact_id=arrived.told.contact_id, size_bytes=len(arrived.raw))

    async def run(self, stopping: asyncio.Event) -> None:
        """Bring what waits into the town, oldest first, again and again."""
        while not stopping.is_set():
            await self._look()
            try:
                await self._drain(stopping)
            except (Unavailable, TimeoutError) as error:
                log.warning("spool.waiting", reason=str(error) or "too slow", wait_s=_EVERY_S)
            await self._look()
            try:
                async with asyncio.timeout(_EVERY_S):
                    await stopping.wait()
            except TimeoutError:
                continue

    async def _drain(self, stopping: asyncio.Event) -> None:
        for spooled in await asyncio.to_thread(lambda: list(self.spool.each())):
            if stopping.is_set():
                return
            await self._bring(spooled)

    async def _bring(self, spooled: Spooled) -> None:
        try:
            told = announcement(read_form(spooled.body), self.accounts)
            arrived = Arrived(told, spooled.body, spooled.received_at)
            await self.intake.accept(arrived, patience_s=_PATIENCE_S, deadline_s=_DEADLINE_S)
        except (Rejected, Poison) as error:
            log.exception("message.set_aside", file=spooled.file.name, reason=str(error))
            await asyncio.to_thread(self.spool.set_aside, spooled.file)
            return
        await asyncio.to_thread(self.spool.done, spooled.file)

    async def _look(self) -> None:
        """Say on /ready that the disk is there and how long the oldest has waited. Waiting is no reason to be unready:
        it is what the fallback is for."""
        try:
            waiting = await asyncio.to_thread(self.spool.waiting)
            oldest_s = await asyncio.to_thread(self.spool.oldest_s, self.intake.clock())
        except ParvisError as error:
            self.health.mark_failing("spool", str(error))
            return
        self.health.mark_ok("spool")
        self.health.add_note("spooled", f"{len(waiting)}, the oldest for {oldest_s:.0f} s" if waiting else "none")
        metrics.sms_spooled.set(len(waiting))
        metrics.sms_spooled_oldest_seconds.set(oldest_s)
