"""Consumes reply.requested, delivery.reported and preference.changed and writes rows. Calls no provider."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import DecodedRecord
from parvis.common.contract.delivery import DeliveryReported, make_delivery_id
from parvis.common.contract.errors import Unavailable
from parvis.common.contract.preference import PreferenceChanged
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.logs import logger
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.notifier.consume.channel_fallback import ChannelFallback
from parvis.notifier.decide.channel_choice import ChannelChooser, contact_points_of
from parvis.notifier.decide.delivery_states import apply_transition, transition_from_report
from parvis.notifier.decide.preferences import (
    EffectivePreferences,
    preference_from_complaint,
    preferences_from_contact,
)
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.store.deliveries import lock_deliveries
from parvis.notifier.store.delivery_ledger import DeliveryLedger
from parvis.notifier.store.effective_preferences import load_effective_preferences
from parvis.notifier.store.preferences import effective_preferences_of, record_preferences
from parvis.notifier.store.recipient_lookup import fill_in_recipients
from parvis.notifier.store.replies import record_replies

log = logger()


@dataclass
class KafkaIntake:
    """Handles the consumer's batches, each in one transaction. Idempotent: every row is keyed by its record's id."""

    database: Database
    ledger: DeliveryLedger
    fallback: ChannelFallback
    chooser: ChannelChooser
    outbox: Outbox
    preferences_read: asyncio.Event
    due: asyncio.Event
    clock: Clock = now

    async def handle(self, items: Sequence[DecodedRecord]) -> None:
        """Raises: Unavailable, while the preferences are being replayed: without them the wrong channel may be chosen."""
        if not self.preferences_read.is_set():
            raise Unavailable("the preferences are still being replayed")
        preferences = {i.record.event_id: i.event for i in items if isinstance(i.event, PreferenceChanged)}
        replies = [i.event for i in items if isinstance(i.event, ReplyRequested)]
        reports = [i.event for i in items if isinstance(i.event, DeliveryReported)]
        async with self.database.transaction() as connection:
            await record_preferences(connection, preferences)
            await self._accept_replies(connection, replies)
            await self.apply_reports(connection, reports)
        self.outbox.wake()
        self.due.set()

    async def _accept_replies(self, connection: AsyncConnection, requested: Sequence[ReplyRequested]) -> None:
        replies = await fill_in_recipients(connection, requested)
        by_id = {reply.reply_id: reply for reply in reversed(replies)}  # the first of an id wins
        new = await record_replies(connection, list(by_id.values()), self.clock())
        in_order = dict.fromkeys(reply.reply_id for reply in replies)
        await self.plan_first_deliveries(connection, [by_id[reply_id] for reply_id in in_order if reply_id in new])

    async def plan_first_deliveries(self, connection: AsyncConnection, replies: Sequence[ReplyRequested]) -> None:
        """Plan the first delivery of replies that have none."""
        known = await load_effective_preferences(connection, self.chooser, replies)
        preferences = await self._revive_addresses(connection, replies, known)
        planned = [self.chooser.build_delivery(reply, self.chooser.choose(reply, preferences)) for reply in replies]
        await self.ledger.insert(connection, planned, self.clock())

    async def _revive_addresses(
        self, connection: AsyncConnection, replies: Sequence[ReplyRequested], known: EffectivePreferences
    ) -> EffectivePreferences:
        """Use an address again that was given up, when its citizen writes from it. Gives the preferences then in force."""
        hash_of = self.chooser.hash_of
        revived = [
            preference
            for reply in replies
            for preference in preferences_from_contact(
                reply, {hash_of(point): point for point in contact_points_of(reply)}, known
            )
        ]
        if not revived:
            return known
        await self.fallback.record_preferences(connection, revived)
        return await load_effective_preferences(connection, self.chooser, replies)

    async def apply_reports(self, connection: AsyncConnection, reports: Sequence[DeliveryReported]) -> None:
        """Apply the reports of providers, bounces and returned letters; several about one delivery in their order."""
        if not reports:
            return
        at = self.clock()
        ids = [make_delivery_id(report.reply_id, report.channel) for report in reports]
        before = await lock_deliveries(connection, ids)
        after = dict(before)
        matched: list[tuple[DeliveryReported, Delivery]] = []
        for delivery_id, report in zip(ids, reports, strict=True):
            delivery = after.get(delivery_id)
            if delivery is None:
                log.warning("report.unmatched", reply_id=report.reply_id, channel=report.channel, state=report.outcome)
                continue
            matched.append((report, delivery))
            if to := transition_from_report(report, delivery):
                after[delivery_id] = apply_transition(
                    delivery, to, at, provider=report.provider, provider_id=report.provider_id
                )
        await self._record_complaints(connection, matched)
        changes = [(old, after[delivery_id]) for delivery_id, old in before.items() if after[delivery_id] is not old]
        await self.fallback.store_changes(connection, changes, at)

    async def _record_complaints(
        self, connection: AsyncConnection, reports: Sequence[tuple[DeliveryReported, Delivery]]
    ) -> None:
        """Record complaints as opt-outs, in whatever state the delivery is: a complaint follows `delivered` and does not outrank it."""
        hashes = {d.address_hash for report, d in reports if report.failure_class == "opted-out"}
        known = await effective_preferences_of(connection, hashes)
        complaints = [preference_from_complaint(report, d, known, report.reported_at) for report, d in reports]
        await self.fallback.record_preferences(connection, [complaint for complaint in complaints if complaint])
