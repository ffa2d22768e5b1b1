"""Reserves due deliveries in one transaction, after choosing the channel again and checking quiet hours and budgets."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.runtime import metrics
from parvis.common.runtime.logs import logger
from parvis.notifier.consume.cost_budget import CostBudget
from parvis.notifier.decide.channel_choice import ChannelChooser, contact_points_of
from parvis.notifier.decide.delivery_states import Transition
from parvis.notifier.decide.preferences import EffectivePreference, EffectivePreferences, presentation_preference
from parvis.notifier.decide.quiet_hours import QuietHoursPolicy
from parvis.notifier.decide.send_budget import DaySpending, SendCounts, refuse_over_budget
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.models.limits import SendingLimits
from parvis.notifier.store import send_counts
from parvis.notifier.store.deliveries import deliveries_of_replies, hold_deliveries, readdress
from parvis.notifier.store.delivery_ledger import DeliveryLedger
from parvis.notifier.store.due_deliveries import DueDelivery, mark_reserved, pick_due
from parvis.notifier.store.effective_preferences import load_effective_preferences
from parvis.notifier.store.mailbox_counts import count_mails, mails_of_day

log = logger()
_TOWN_WAITS = timedelta(minutes=2)  # until the hourly budget of automatic messages is checked again
_UNREADABLE = Transition("failed", "refused", "the stored request cannot be read")


@dataclass(frozen=True)
class DeliveryReservation:
    """Picks due deliveries and reserves those that may be sent now; holds, moves, refuses or cancels the others."""

    ledger: DeliveryLedger
    chooser: ChannelChooser
    quiet_hours: QuietHoursPolicy
    limits: SendingLimits
    worker: str
    costs: CostBudget

    async def reserve(
        self, connection: AsyncConnection, limit: int, at: datetime, paused: Collection[str]
    ) -> tuple[list[DueDelivery], int]:
        """Reserve up to `limit` deliveries.

        Shape: paused, the channels for which nothing is reserved.
        Gives: the reserved deliveries, and how many were picked.
        """
        picked, unreadable = await pick_due(connection, at, limit, paused)
        for delivery in unreadable:
            await self.ledger.transition(connection, delivery, _UNREADABLE, at)
        if not picked:
            return [], len(unreadable)
        preferences = await load_effective_preferences(connection, self.chooser, [due.reply for due in picked])
        current = [due for due in picked if await self._has_current_channel(connection, due, preferences, at)]
        presented = [self._apply_presentation(due, preferences) for due in current]
        awake = await self._hold_in_quiet_hours(connection, presented, preferences, at)
        allowed, added = await self._within_budget(connection, awake, preferences, at)
        if allowed:
            ids = [due.delivery.delivery_id for due in allowed]
            await mark_reserved(connection, ids, worker=self.worker, now=at, lease_until=at + self.limits.lease)
            automatic = sum(due.delivery.is_automatic for due in allowed)
            await send_counts.count_automatic(connection, automatic, added, at)
        reserved = [replace(due, delivery=_reserved(due.delivery, at)) for due in allowed]
        return reserved, len(picked) + len(unreadable)

    async def _has_current_channel(
        self, connection: AsyncConnection, due: DueDelivery, preferences: EffectivePreferences, at: datetime
    ) -> bool:
        """Choose the channel again: preferences may have changed while the reply was held. If the choice differs, move the delivery."""
        delivery = due.delivery
        choice = self.chooser.choose(due.reply, preferences, await self._tried_before(connection, delivery))
        if (choice.channel, choice.address, choice.failure_class) == (delivery.channel, delivery.address, None):
            return True
        if delivery.channel == "inbox" and choice.failure_class:
            # It is the last channel before people have to call, and no choice of the citizen's: only an opt-out ends it.
            point = self.chooser.contact_point_at(delivery)
            if point and self.chooser.find_obstacle(due.reply, "inbox", point, preferences) is None:
                return True
        planned = replace(self.chooser.build_delivery(due.reply, choice, step=delivery.step), send_at=delivery.send_at)
        if choice.channel == delivery.channel:
            await readdress(connection, planned, at)  # picked again later, with its new address
        else:
            moved = Transition("cancelled", detail="another channel is preferred now")
            await self.ledger.transition(connection, delivery, moved, at)
            await self.ledger.insert(connection, [planned], at)
        return False

    async def _tried_before(self, connection: AsyncConnection, delivery: Delivery) -> set[str]:
        if delivery.step == 1:
            return set()
        steps = (await deliveries_of_replies(connection, [delivery.reply_id])).get(delivery.reply_id, [])
        return {d.channel for d in steps if d.step < delivery.step and d.state != "cancelled"}

    def _apply_presentation(self, due: DueDelivery, preferences: EffectivePreferences) -> DueDelivery:
        """The delivery in the citizen's language and type size."""
        preference = self._presentation(due, preferences)
        reply = due.reply.model_copy(update={"language": preference.language}) if preference.language else due.reply
        return DueDelivery(replace(due.delivery, large_print=bool(preference.large_print)), reply)

    def _presentation(self, due: DueDelivery, preferences: EffectivePreferences) -> EffectivePreference:
        if not preferences:
            return EffectivePreference()
        hashes = [self.chooser.hash_of(point) for point in contact_points_of(due.reply)]
        return presentation_preference(due.delivery.address_hash, hashes, preferences)

    async def _hold_in_quiet_hours(
        self, connection: AsyncConnection, due: list[DueDelivery], preferences: EffectivePreferences, at: datetime
    ) -> list[DueDelivery]:
        """The deliveries outside quiet hours; the others are held until these end."""
        awake: list[DueDelivery] = []
        for candidate in due:
            delivery = candidate.delivery
            hours = self._presentation(candidate, preferences).quiet_hours
            until = self.quiet_hours.hold_until(candidate.reply, delivery.channel, hours, at, self.limits)
            if until is None:
                awake.append(candidate)
            else:
                await hold_deliveries(connection, [delivery.delivery_id], until)
        return awake

    async def _within_budget(
        self,
        connection: AsyncConnection,
        due: list[DueDelivery],
        preferences: EffectivePreferences,
        at: datetime,
    ) -> tuple[list[DueDelivery], DaySpending]:
        """The deliveries within the limits of their address, conversation, source and town, and what they cost. Locks addresses and sources."""
        due = await self._within_hourly_budget(connection, due, at)
        if not due:
            return [], DaySpending()
        hashes = {candidate.delivery.address_hash for candidate in due}
        mailboxes = {self.chooser.mailbox_hash(candidate.delivery) for candidate in due} - {""}
        await send_counts.lock_addresses(connection, hashes | mailboxes)
        ids = {candidate.delivery.delivery_id for candidate in due}
        conversations = {candidate.delivery.conversation_id for candidate in due}
        by_address = await send_counts.count_by_address(connection, hashes, at, but=ids)
        by_conversation = await send_counts.count_by_conversation(connection, conversations, at)
        by_mailbox, new_mails = await mails_of_day(connection, mailboxes, at), Counter[str]()
        admission = await self.costs.open_admission(connection, due, at)
        allowed: list[DueDelivery] = []
        for candidate in due:
            delivery = candidate.delivery
            counts = _counts_of(delivery, by_address, by_conversation)
            mailbox = self.chooser.mailbox_hash(delivery)
            counts = replace(counts, automatic=max(counts.automatic, by_mailbox[mailbox] + new_mails[mailbox]))
            if refused := refuse_over_budget(delivery, counts, self.limits):
                await self.ledger.transition(connection, delivery, refused, at)
                _report_suspected_loop(delivery, counts.automatic, self.limits)
                continue
            if not await self.costs.admit(connection, candidate, admission, preferences, at):
                continue
            by_address[delivery.address_hash] = (
                counts.automatic + delivery.is_automatic,
                counts.answers + (not delivery.is_automatic),
            )
            by_conversation.of_today[delivery.conversation_id] += 1
            by_conversation.add_notice(
                delivery.conversation_id, delivery.kind, delivery.reply_id, delivery.address_hash
            )
            new_mails.update([mailbox] if mailbox else [])
            allowed.append(candidate)
        await count_mails(connection, new_mails, at)
        return allowed, admission.added

    async def _within_hourly_budget(
        self, connection: AsyncConnection, due: list[DueDelivery], at: datetime
    ) -> list[DueDelivery]:
        """The deliveries within the town's hourly limit of automatic messages; the rest is held, not failed, and logged for an operator."""
        automatic = [candidate for candidate in due if candidate.delivery.is_automatic]
        sent = await send_counts.automatic_in_last_hour(connection, at) if automatic else 0
        late = automatic[max(0, self.limits.automatic_per_hour - sent) :]
        if not late:
            return due
        await hold_deliveries(connection, [candidate.delivery.delivery_id for candidate in late], at + _TOWN_WAITS)
        log.error("send-rate.limited", count=len(late), limit_s=_TOWN_WAITS.total_seconds())
        metrics.loops_suspected.labels("town").inc()
        return [candidate for candidate in due if candidate not in late]


def _counts_of(
    delivery: Delivery, by_address: Mapping[str, tuple[int, int]], by_conversation: send_counts.ConversationCounts
) -> SendCounts:
    automatic, answers = by_address.get(delivery.address_hash, (0, 0))
    same_kind = by_conversation.addresses_of(delivery.conversation_id, delivery.kind, but=delivery.reply_id)
    return SendCounts(
        automatic,
        answers,
        by_conversation.of_today[delivery.conversation_id],
        of_same_kind=len(same_kind),
        has_registration=delivery.address_hash in same_kind,
    )


def _reserved(delivery: Delivery, at: datetime) -> Delivery:
    return replace(
        delivery,
        state="reserved",
        attempt=delivery.attempt + 1,
        sends=delivery.sends + 1,
        first_reserved_at=delivery.first_reserved_at or at,
        reserved_at=at,
        failure_class=None,
        detail="",
    )


def _report_suspected_loop(delivery: Delivery, automatic: int, limits: SendingLimits) -> None:
    """Alert: only another machine causes so many automatic messages in a day, and two machines that answer each other never stop."""
    if delivery.is_automatic and automatic >= limits.automatic_per_day:
        metrics.loops_suspected.labels(delivery.channel).inc()
        log.error(
            "loop.suspected",
            conversation_id=delivery.conversation_id,
            reply_id=delivery.reply_id,
            channel=delivery.channel,
            kind=delivery.kind,
            sender_hash=delivery.address_hash,
            count=automatic,
        )
