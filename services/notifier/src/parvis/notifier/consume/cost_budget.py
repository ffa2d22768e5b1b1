"""Holds, moves or fails automatic SMS and letters that the day's budget of their source or of the town does not cover."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.channels import channel
from parvis.common.runtime import metrics
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.notifier.decide.channel_choice import ChannelChooser
from parvis.notifier.decide.delivery_states import Transition, apply_transition
from parvis.notifier.decide.preferences import EffectivePreferences
from parvis.notifier.decide.send_budget import NOTHING, AutomaticCost, DaySpending, is_paid
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.models.limits import SendingLimits
from parvis.notifier.render.message_renderer import MessageRenderer
from parvis.notifier.store import send_counts
from parvis.notifier.store.deliveries import hold_deliveries
from parvis.notifier.store.delivery_ledger import DeliveryLedger
from parvis.notifier.store.due_deliveries import DueDelivery

log = logger()
_TOWN_WAITS = timedelta(minutes=15)  # until the town's budget is checked again
_SOURCE_WAITS = timedelta(hours=1)  # a source's; longer, because a flood may be all that waits


@dataclass
class BudgetTally:
    """What was spent before one transaction, and what it adds."""

    before: DaySpending
    costs: Mapping[str, AutomaticCost]  # by delivery
    added: DaySpending = field(default_factory=DaySpending)


@dataclass(frozen=True)
class CostBudget:
    """The budgets of a day in segments, letters and money: of each source, which its own flood uses up alone, and of the town."""

    ledger: DeliveryLedger
    chooser: ChannelChooser
    renderer: MessageRenderer
    limits: SendingLimits
    health: Health

    async def open_admission(
        self, connection: AsyncConnection, due: Sequence[DueDelivery], at: datetime
    ) -> BudgetTally:
        """Lock the sources of automatic SMS and letters, and read what was spent. Call it after the addresses are locked."""
        costs: dict[str, AutomaticCost] = {
            d.delivery.delivery_id: self._cost_of(d, at) for d in due if is_paid(d.delivery)
        }
        sources = {source for d in due if d.delivery.delivery_id in costs for source in d.reply.sources}
        await send_counts.lock_sources(connection, sources)
        spent = await send_counts.spending_of_day(connection, sources, at) if costs else DaySpending()
        return BudgetTally(spent, costs)

    def _cost_of(self, due: DueDelivery, at: datetime) -> AutomaticCost:
        if channel(due.delivery.channel).template_medium == "letter":
            return AutomaticCost(letters=1)
        return AutomaticCost(segments=self.renderer.count_segments(due.reply, due.delivery, at))

    async def admit(
        self,
        connection: AsyncConnection,
        due: DueDelivery,
        admission: BudgetTally,
        preferences: EffectivePreferences,
        at: datetime,
    ) -> bool:
        """Whether a delivery may be sent; count its cost. Answers and mails always may.

        Over the budget of its source it becomes a mail if the citizen can be reached by one, else it waits for two days, and
        then is a task for people. Over the town's budget it waits.
        """
        delivery, sources = due.delivery, due.reply.sources
        cost = admission.costs.get(delivery.delivery_id, NOTHING)
        if cost == NOTHING:
            return True
        exhausted = admission.before.find_exhausted(cost, sources, self.limits)
        if exhausted is None:
            self.health.notes.pop(f"budget-{delivery.channel}", None)
            admission.before = admission.before.plus(cost, sources)
            admission.added = admission.added.plus(cost, sources)
            return True
        metrics.messages_over_budget.labels(delivery.channel, exhausted).inc()
        if exhausted.startswith("source"):
            log.warning("send-budget.exhausted", reply_id=delivery.reply_id, channel=delivery.channel, kind=exhausted)
            await self._set_aside(connection, due, preferences, at)
        else:
            log.error("send-budget.exhausted", reply_id=delivery.reply_id, channel=delivery.channel, kind=exhausted)
            waits = f"the day's budget ({exhausted}) was used up at {at:%Y-%m-%d %H:%M} UTC: automatic messages wait"
            self.health.add_note(f"budget-{delivery.channel}", waits)
            await hold_deliveries(connection, [delivery.delivery_id], at + _TOWN_WAITS)
        return False

    async def _set_aside(
        self, connection: AsyncConnection, due: DueDelivery, preferences: EffectivePreferences, at: datetime
    ) -> None:
        delivery = due.delivery
        over = Transition("failed", "budget", "its source used up what it may cost in 24 hours")
        if following := self._plan_mail(due, preferences, at):
            moved = replace(apply_transition(delivery, over, at), moves_to=following.channel)
            await self.ledger.write(connection, [(delivery, moved)], at)
            await self.ledger.insert(connection, [following], at)
        elif at - due.reply.send_at >= self.limits.source_waits:
            await self.ledger.transition(connection, delivery, over, at)
        else:
            await hold_deliveries(connection, [delivery.delivery_id], at + _SOURCE_WAITS)

    def _plan_mail(self, due: DueDelivery, preferences: EffectivePreferences, at: datetime) -> Delivery | None:
        """The next step on a channel that costs nothing; None if the citizen cannot be reached on any."""
        delivery, tried = due.delivery, {due.delivery.channel}
        while True:
            choice = self.chooser.choose(due.reply, preferences, tried)
            if choice.failure_class:
                return None
            following = self.chooser.build_delivery(due.reply, choice, step=delivery.step + 1)
            if not is_paid(following):
                return replace(following, send_at=at, why="the budget of its source")
            tried.add(choice.channel)
