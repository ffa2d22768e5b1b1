"""Resolves deliveries without a provider's final answer: lapsed leases, and those whose outcome is unknown."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime import metrics
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.health import Health
from parvis.common.runtime.interruptible_waits import sleep_unless_stopped
from parvis.common.runtime.logs import logger
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.notifier.consume.channel_fallback import ChannelFallback
from parvis.notifier.consume.status_poller import StatusPoller, log_resend
from parvis.notifier.decide.delivery_states import (
    Transition,
    apply_transition,
    may_resend,
    state_after_lapsed_lease,
)
from parvis.notifier.models.delivery import RESENT
from parvis.notifier.models.limits import SendingLimits
from parvis.notifier.store import unresolved_deliveries
from parvis.notifier.store.send_counts import delete_old_tallies

log = logger()
PURGE_EVERY = 3600  # rounds
COUNT_EVERY = 15
_LEASE_LAPSED = "the lease lapsed: the sending process stored no outcome"
_SENT_AGAIN = "sent a last time: the outcome of the first is unknown"


@dataclass
class Reconciliation:
    """Runs a round every few seconds. Several processes may run: each skips the rows that another has locked."""

    database: Database
    fallback: ChannelFallback
    poller: StatusPoller
    outbox: Outbox
    limits: SendingLimits
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
            await sleep_unless_stopped(stopping, self.every_s)

    async def reconcile(self) -> int:
        """Run one round; gives the number of deliveries that changed state."""
        return await self._end_lapsed_leases() + await self.poller.poll() + await self._resend_unknown()

    async def _end_lapsed_leases(self) -> int:
        at = self.clock()
        async with self.database.transaction() as connection:
            lapsed = await unresolved_deliveries.lock_lapsed(connection, at)
            changes = [
                (d, apply_transition(d, Transition(state_after_lapsed_lease(d), detail=_LEASE_LAPSED), at))
                for d in lapsed
            ]
            await self.fallback.store_changes(connection, changes, at)
        return len(changes)

    async def _resend_unknown(self) -> int:
        at = self.clock()
        resend = Transition("planned", detail=_SENT_AGAIN)
        async with self.database.transaction() as connection:
            old = await unresolved_deliveries.lock_unknown_since(connection, at - self.limits.unknown_after, RESENT)
            changes = [(d, apply_transition(d, resend, at, resent_at=at)) for d in old if may_resend(d)]
            await self.fallback.store_changes(connection, changes, at)
        for delivery, _ in changes:
            log_resend(delivery, "unknown for too long")
        return len(changes)

    async def _count(self) -> None:
        """Measure the promise: one send per reply, plus the resends and moves that are logged."""
        at = self.clock()
        async with self.database.transaction() as connection:
            over = await unresolved_deliveries.sent_too_often(connection, at - timedelta(hours=1))
            old = await unresolved_deliveries.count_unknown(connection, at - self.limits.unknown_after)
            await delete_old_tallies(connection, at)
        metrics.replies_sent_too_often.set(len(over))
        metrics.deliveries_unknown_old.set(old)
        for row in over:
            log.error("reply.sent_repeatedly", reply_id=row.reply_id, count=row.sends, total=row.allowed)
