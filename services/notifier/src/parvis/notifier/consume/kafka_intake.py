"""reply.requested, delivery.reported and preference.changed in, rows out. No provider is called from here."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.consumer import DecodedRecord
from parvis.common.contract.delivery import DeliveryReported, make_delivery_id
from parvis.common.contract.errors import Unavailable
from parvis.common.contract.preference import PreferenceChanged
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.logs import logger
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.notifier.consume.channel_fallback import Steps
from parvis.notifier.decide.channel_choice import Addressing, points_of
from parvis.notifier.decide.delivery_states import reported, stepped
from parvis.notifier.decide.preferences import Kept, learnt_by_reading, learnt_from
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.store import deliveries as rows
from parvis.notifier.store.effective_preferences import kept_for
from parvis.notifier.store.preferences import record_preferences, standing_of
from parvis.notifier.store.recipient_lookup import addressed
from parvis.notifier.store.replies import record_replies

log = logger()


@dataclass
class Intake:
    """The consumer's handler: one transaction a batch, every record keyed by its id, so that a repeat changes nothing."""

    database: Database
    steps: Steps
    outbox: Outbox
    addressing: Addressing
    preferences_read: asyncio.Event
    due: asyncio.Event
    clock: Clock = now

    async def handle(self, items: Sequence[DecodedRecord]) -> None:
        """Raises: Unavailable, while the preferences are being read: a channel chosen without them may be a wrong one."""
        if not self.preferences_read.is_set():
            raise Unavailable("the preferences are still being read")
        preferences = {i.record.event_id: i.event for i in items if isinstance(i.event, PreferenceChanged)}
        replies = [i.event for i in items if isinstance(i.event, ReplyRequested)]
        reports = [i.event for i in items if isinstance(i.event, DeliveryReported)]
        async with self.database.transaction() as connection:
            await record_preferences(connection, preferences)
            await self._plan(connection, replies)
            await self.report(connection, reports)
        self.outbox.wake()
        self.due.set()

    async def _plan(self, connection: AsyncConnection, asked: Sequence[ReplyRequested]) -> None:
        at = self.clock()
        asked = await addressed(connection, asked)
        by_id = {reply.reply_id: reply for reply in reversed(asked)}  # the first of an id wins
        new = await record_replies(connection, list(by_id.values()), at)
        await self.plan(
            connection, [by_id[name] for name in dict.fromkeys(reply.reply_id for reply in asked) if name in new]
        )

    async def plan(self, connection: AsyncConnection, replies: Sequence[ReplyRequested]) -> None:
        """Choose the first channel of replies for which nothing is planned yet."""
        kept = await self._having_read(connection, replies, await kept_for(connection, self.addressing, replies))
        planned = [self.addressing.plan(reply, self.addressing.choose(reply, kept)) for reply in replies]
        await self.steps.ledger.plan(connection, planned, self.clock())

    async def _having_read(self, connection: AsyncConnection, replies: Sequence[ReplyRequested], kept: Kept) -> Kept:
        """An address that was given up lives again when its citizen writes from it."""
        hash_of = self.addressing.hash_of
        said = [
            one
            for reply in replies
            for one in learnt_by_reading(reply, {hash_of(point): point for point in points_of(reply)}, kept)
        ]
        if not said:
            return kept
        await self.steps.say(connection, said)
        return await kept_for(connection, self.addressing, replies)

    async def report(self, connection: AsyncConnection, reports: Sequence[DeliveryReported]) -> None:
        """Take what providers and bounces say; a word that is no news changes nothing."""
        if not reports:
            return
        at = self.clock()
        ids = [make_delivery_id(report.reply_id, report.channel) for report in reports]
        stood = await rows.lock(connection, ids)
        stands = dict(stood)
        complaints: list[tuple[DeliveryReported, Delivery]] = []
        for name, report in zip(ids, reports, strict=True):
            delivery = stands.get(name)
            if delivery is None:
                log.warning("report.unmatched", reply_id=report.reply_id, channel=report.channel, state=report.outcome)
                continue
            complaints.append((report, delivery))
            if to := reported(report, delivery):
                stands[name] = stepped(delivery, to, at, provider=report.provider, provider_id=report.provider_id)
        await self._heed(connection, complaints)
        await self.steps.write(
            connection, [(stood[name], stands[name]) for name in stood if stands[name] is not stood[name]], at
        )

    async def _heed(self, connection: AsyncConnection, reports: Sequence[tuple[DeliveryReported, Delivery]]) -> None:
        """A complaint counts whatever the ledger has already: it comes after `delivered`, which it does not outrank."""
        kept = await standing_of(connection, {d.address_hash for r, d in reports if r.failure_class == "opted-out"})
        said = [one for r, d in reports if (one := learnt_from(r, d, kept, r.reported_at))]
        await self.steps.say(connection, said)
