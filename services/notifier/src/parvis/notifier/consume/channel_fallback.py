"""Plans the next channel of a reply whose delivery failed, in the transaction that stores the failure."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.preference import PreferenceChanged
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.logs import logger
from parvis.notifier.decide.channel_choice import ChannelChooser, fall_back_to_inbox
from parvis.notifier.decide.delivery_states import Transition, apply_transition, should_fall_back
from parvis.notifier.decide.preferences import EffectivePreferences, preference_from_failure
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.store.deliveries import deliveries_of_replies, lock_deliveries
from parvis.notifier.store.delivery_ledger import DeliveryLedger
from parvis.notifier.store.effective_preferences import load_effective_preferences
from parvis.notifier.store.replies import replies_of

log = logger()
_OVER = frozenset({"failed", "undelivered", "cancelled"})
_NAMESPACE = uuid.UUID("0f6c3c58-6a55-5b0e-9d0d-5f3f6f1f7a11")

DeliveryChange = tuple[Delivery, Delivery]  # a locked delivery before and after


@dataclass(frozen=True)
class ChannelFallback:
    """Stores changed deliveries; what did not arrive moves to the citizen's next channel: in the end to a letter, or to a task for people.

    A reply has one open step at a time: the next is planned when the one before has ended, and cancelled if that one arrives late.
    """

    ledger: DeliveryLedger
    chooser: ChannelChooser

    async def store_changes(self, connection: AsyncConnection, changes: Sequence[DeliveryChange], at: datetime) -> None:
        """Store locked deliveries, and the next steps of those that ended."""
        ended = [new for old, new in changes if new.state != old.state and should_fall_back(new)]
        arrived_late = [new for old, new in changes if new.state == "delivered" and old.state in _OVER]
        if not ended and not arrived_late:
            await self.ledger.write(connection, changes, at)
            return
        next_by_id = await self._plan_next(connection, ended, at)
        moving = [
            (old, replace(new, moves_to=next_by_id[new.delivery_id].channel) if new.delivery_id in next_by_id else new)
            for old, new in changes
        ]
        await self.ledger.write(connection, moving, at)
        await self.ledger.insert(connection, list(next_by_id.values()), at)
        await self._call_off_next(connection, arrived_late, at)

    async def record_preferences(self, connection: AsyncConnection, learnt: Sequence[PreferenceChanged]) -> None:
        """Record and publish preferences derived from failures, complaints and contacts."""
        by_id = {str(uuid.uuid5(_NAMESPACE, f"{p.source}\x1f{p.detail}\x1f{p.changed_at}")): p for p in learnt}
        await self.ledger.record_preferences(connection, by_id)

    async def _plan_next(
        self, connection: AsyncConnection, ended: Sequence[Delivery], at: datetime
    ) -> Mapping[str, Delivery]:
        """Plan the next delivery of each reply, by the id of the delivery that ended; replies without a next one are left out."""
        if not ended:
            return {}
        ids = {delivery.reply_id for delivery in ended}
        replies = await replies_of(connection, ids)
        preferences = await self._learn_from_failures(connection, ended, replies, at)
        steps = await deliveries_of_replies(connection, ids)
        next_by_id: dict[str, Delivery] = {}
        for delivery in ended:
            reply = replies.get(delivery.reply_id)
            if reply is None:
                continue  # unreadable, and logged as such: people see that the delivery failed
            following = self._next_delivery(reply, delivery, steps.get(delivery.reply_id, [delivery]), preferences, at)
            if following:
                next_by_id[delivery.delivery_id] = following
                _log_move(delivery, following)
        return next_by_id

    def _next_delivery(
        self,
        reply: ReplyRequested,
        ended: Delivery,
        steps: Sequence[Delivery],
        preferences: EffectivePreferences,
        at: datetime,
    ) -> Delivery | None:
        """None if another step of the reply is open or has arrived, or if people already have it."""
        others = [step for step in steps if step.delivery_id != ended.delivery_id]
        if any(other.state not in _OVER or other.channel == "phone" for other in others):
            return None
        tried = {other.channel for other in others if other.state != "cancelled"} | {ended.channel}
        choice = fall_back_to_inbox(self.chooser.choose(reply, preferences, tried), ended)
        number = max(step.step for step in steps) + 1
        return replace(self.chooser.build_delivery(reply, choice, step=number), send_at=at, why=_why(ended, choice.why))

    async def _learn_from_failures(
        self,
        connection: AsyncConnection,
        ended: Sequence[Delivery],
        replies: Mapping[str, ReplyRequested],
        at: datetime,
    ) -> EffectivePreferences:
        """The preferences in force, after these failures are taken into account."""
        known = await load_effective_preferences(connection, self.chooser, replies.values())
        learnt = [preference for d in ended if (preference := preference_from_failure(d, known, at))]
        if not learnt:
            return known
        await self.record_preferences(connection, learnt)
        return await load_effective_preferences(connection, self.chooser, replies.values())

    async def _call_off_next(self, connection: AsyncConnection, arrived: Sequence[Delivery], at: datetime) -> None:
        """Cancel later steps that were not sent yet: the reply arrived after all."""
        if not arrived:
            return
        steps = await deliveries_of_replies(connection, {delivery.reply_id for delivery in arrived})
        later = [d for known in steps.values() for d in known if d.state == "planned" and not d.attempt and d.step > 1]
        locked = await lock_deliveries(connection, [d.delivery_id for d in later])
        off = Transition("cancelled", detail="the step before it arrived late")
        changes = [(d, apply_transition(d, off, at)) for d in locked.values() if d.state == "planned"]
        await self.ledger.write(connection, changes, at)


def _why(ended: Delivery, reason: str) -> str:
    return f"{ended.channel}: {ended.failure_class or ended.state} {ended.detail}; {reason}".strip(" ;")[:200]


def _log_move(ended: Delivery, following: Delivery) -> None:
    log.info(
        "delivery.moved",
        reply_id=ended.reply_id,
        conversation_id=ended.conversation_id,
        channel=following.channel,
        reason=ended.failure_class or "",
        sequence=following.step,
    )
