"""Time passes: lapsed leases become unknown, unknown ones are asked about, what stays so is sent a last time or left to a person."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime import metrics
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.concurrency import first_completed
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.notifier.consume.channel_fallback import Steps
from parvis.notifier.consume.status_poller import Asking, tell_resent
from parvis.notifier.decide.delivery_states import Next, after_a_lapsed_lease, may_resend, stepped
from parvis.notifier.models.delivery import RESENT
from parvis.notifier.models.limits import Limits
from parvis.notifier.store import unresolved_deliveries
from parvis.notifier.store.send_counts import forget_tallies

log = logger()
PURGE_EVERY = 3600  # turns
COUNT_EVERY = 15
_DIED = "the process that sent it did not say how it ended"
_RESENT = "sent a last time: nobody knows what became of the first"


@dataclass
class Reconciling:
    """What no provider's answer ended. Several processes may do it at once: rows are locked, locked ones passed over."""

    database: Database
    steps: Steps
    asking: Asking
    outbox: Outbox
    limits: Limits
    health: Health
    due: asyncio.Event
    every_s: float = 2.0
    clock: Clock = now

    async def run(self, stopping: asyncio.Event) -> None:
        turn = 0
        while not stopping.is_set():
            try:
                if await self.reconcile():
                    self.outbox.wake()
                    self.due.set()
                if turn % COUNT_EVERY == 0:
                    await self._count()
                if turn % PURGE_EVERY == 0:
                    await self.outbox.purge()
                self.health.mark_ok("reconciling")
            except Unavailable as error:
                self.health.mark_failing("reconciling", str(error))
            turn += 1
            await first_completed(stopping.wait(), timeout_s=self.every_s)

    async def reconcile(self) -> int:
        """One round; how many deliveries it moved."""
        return await self._lapsed() + await self.asking.ask() + await self._resend()

    async def _lapsed(self) -> int:
        at = self.clock()
        async with self.database.transaction() as connection:
            lapsed = await unresolved_deliveries.lapsed(connection, at)
            left = [(d, stepped(d, Next(after_a_lapsed_lease(d), detail=_DIED), at)) for d in lapsed]
            await self.steps.write(connection, left, at)
        return len(left)

    async def _resend(self) -> int:
        at = self.clock()
        async with self.database.transaction() as connection:
            old = await unresolved_deliveries.unknown_since(connection, at - self.limits.unknown_after, RESENT)
            again = [
                (d, stepped(d, Next("planned", detail=_RESENT), at, resent_at=at)) for d in filter(may_resend, old)
            ]
            await self.steps.write(connection, again, at)
        for delivery, _ in again:
            tell_resent(delivery, "unknown for too long")
        return len(again)

    async def _count(self) -> None:
        """The promise, measured: no reply has more sends than one and those that the log explains."""
        at = self.clock()
        async with self.database.transaction() as connection:
            over = await unresolved_deliveries.sent_too_often(connection, at - timedelta(hours=1))
            old = await unresolved_deliveries.count_unknown(connection, at - self.limits.unknown_after)
            await forget_tallies(connection, at)
        metrics.replies_sent_too_often.set(len(over))
        metrics.deliveries_unknown_old.set(old)
        for row in over:
            log.error("reply.sent_too_often", reply_id=row.reply_id, count=row.sends, total=row.allowed)
