"""Time passes: lapsed leases become unknown, what stayed unknown is sent a last time or left to a person."""

import asyncio
from dataclasses import dataclass

from parvis.common.clock import Clock, now
from parvis.common.database import Database
from parvis.common.errors import Unavailable
from parvis.common.health import Health
from parvis.common.logs import logger
from parvis.common.outbox import Outbox
from parvis.notifier import store
from parvis.notifier.consume.ledger import Ledger
from parvis.notifier.consume.waiting import first_of
from parvis.notifier.decide import Next, after_a_lapsed_lease, may_resend, stepped
from parvis.notifier.rules import RESENT, Limits

log = logger()
PURGE_EVERY = 3600  # turns
_DIED = "the process that sent it did not say how it ended"
_RESENT = "sent a last time: nobody knows what became of the first"


@dataclass
class Reconciling:
    """What no provider's answer ended. Several processes may do it at once: rows are locked, locked ones passed over."""

    database: Database
    ledger: Ledger
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
                    self.outbox.kick()
                    self.due.set()
                if turn % PURGE_EVERY == 0:
                    await self.outbox.purge()
                self.health.good("reconciling")
            except Unavailable as error:
                self.health.bad("reconciling", str(error))
            turn += 1
            await first_of(stopping.wait(), timeout_s=self.every_s)

    async def reconcile(self) -> int:
        """One round; how many deliveries it moved."""
        at = self.clock()
        async with self.database.begin() as connection:
            lapsed = await store.lapsed(connection, at)
            left = [(d, stepped(d, Next(after_a_lapsed_lease(d), detail=_DIED), at)) for d in lapsed]
            old = await store.unknown_since(connection, at - self.limits.unknown_after, RESENT)
            again = [
                (d, stepped(d, Next("planned", detail=_RESENT), at, resent_at=at)) for d in filter(may_resend, old)
            ]
            await self.ledger.write(connection, [*left, *again], at)
        for delivery, _ in again:
            log.warning(
                "delivery.resent",
                delivery_id=delivery.delivery_id,
                reply_id=delivery.reply_id,
                conversation_id=delivery.conversation_id,
                kind=delivery.kind,
                channel=delivery.channel,
                attempt=delivery.attempt + 1,
            )
        return len(left) + len(again)
