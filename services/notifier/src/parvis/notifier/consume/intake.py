"""reply.requested, delivery.reported and preference.changed in, rows out. No provider is called from here."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.consumer import Item
from parvis.common.clock import Clock, now
from parvis.common.database import Database
from parvis.common.delivery import DeliveryReported, delivery_id, outranks
from parvis.common.errors import Unavailable
from parvis.common.logs import logger
from parvis.common.outbox import Outbox
from parvis.common.reply import PreferenceChanged, ReplyRequested
from parvis.notifier import store
from parvis.notifier.consume.ledger import Ledger
from parvis.notifier.decide import Addressing, Next, points_of, stepped

log = logger()


@dataclass
class Intake:
    """The consumer's handler: one transaction a batch, every record keyed by its id, so that a repeat changes nothing."""

    database: Database
    ledger: Ledger
    outbox: Outbox
    addressing: Addressing
    preferences_read: asyncio.Event
    due: asyncio.Event
    clock: Clock = now

    async def handle(self, items: Sequence[Item]) -> None:
        """Raises: Unavailable, while the preferences are being read: a channel chosen without them may be a wrong one."""
        if not self.preferences_read.is_set():
            raise Unavailable("the preferences are still being read")
        preferences = {i.received.event_id: i.event for i in items if isinstance(i.event, PreferenceChanged)}
        replies = [i.event for i in items if isinstance(i.event, ReplyRequested)]
        reports = [i.event for i in items if isinstance(i.event, DeliveryReported)]
        async with self.database.begin() as connection:
            await store.record_preferences(connection, preferences)
            await self._plan(connection, replies)
            await self._report(connection, reports)
        self.outbox.kick()
        self.due.set()

    async def _plan(self, connection: AsyncConnection, asked: Sequence[ReplyRequested]) -> None:
        at = self.clock()
        by_id = {reply.reply_id: reply for reply in reversed(asked)}  # the first of an id wins
        new = await store.record_replies(connection, list(by_id.values()), at)
        replies = [reply for reply in dict.fromkeys(by_id[reply.reply_id].reply_id for reply in asked) if reply in new]
        hash_of = self.addressing.hash_of
        hashes = {hash_of(point) for reply_id in replies for point in points_of(by_id[reply_id])}
        kept = await store.preferences_of(connection, hashes)
        chosen = [(by_id[reply_id], self.addressing.choose(by_id[reply_id], kept)) for reply_id in replies]
        await self.ledger.plan(connection, [self.addressing.plan(reply, choice) for reply, choice in chosen], at)

    async def _report(self, connection: AsyncConnection, reports: Sequence[DeliveryReported]) -> None:
        if not reports:
            return
        ids = [delivery_id(report.reply_id, report.channel) for report in reports]
        at = self.clock()
        stood = await store.lock(connection, ids)
        stands = dict(stood)
        for name, report in zip(ids, reports, strict=True):
            delivery = stands.get(name)
            if delivery is None:
                log.warning("report.unmatched", reply_id=report.reply_id, channel=report.channel, state=report.outcome)
            elif outranks(report.outcome, delivery.state):
                to = Next(report.outcome, report.failure_class, report.detail)
                stands[name] = stepped(delivery, to, at, provider=report.provider, provider_id=report.provider_id)
        steps = [(stood[name], stands[name]) for name in stood if stands[name] is not stood[name]]
        await self.ledger.write(connection, steps, at)
