"""Checks a delivery against the daily limits of its address and conversation, and the budgets of its source and the town. Pure; no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from parvis.common.contract.channels import channel
from parvis.notifier.decide.delivery_states import Transition
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.models.limits import DailyBudget, SendingLimits


@dataclass(frozen=True)
class SendCounts:
    """The messages that one address and one conversation have already got."""

    automatic: int = 0
    answers: int = 0
    in_conversation: int = 0
    of_same_kind: int = 0  # registrations or receipts of this conversation that did not fail
    has_registration: bool = False  # one of them went to this address


@dataclass(frozen=True)
class AutomaticCost:
    """What automatic messages cost: paid segments of SMS, and printed letters."""

    segments: int = 0
    letters: int = 0

    def plus(self, other: "AutomaticCost") -> "AutomaticCost":
        return AutomaticCost(self.segments + other.segments, self.letters + other.letters)

    def find_excess(self, budget: DailyBudget, limits: SendingLimits) -> str | None:
        """What exceeds a budget: `segments`, `letters` or `money`; None if nothing does."""
        cents = self.segments * limits.segment_cents + self.letters * limits.letter_cents
        if self.segments > budget.segments:
            return "segments"
        if self.letters > budget.letters:
            return "letters"
        return "money" if cents > budget.cents else None


NOTHING = AutomaticCost()


@dataclass(frozen=True)
class DaySpending:
    """What the automatic messages of a day cost the town, and what those of each source did."""

    town: AutomaticCost = NOTHING
    by_source: Mapping[str, AutomaticCost] = field(default_factory=dict[str, AutomaticCost])

    def plus(self, cost: AutomaticCost, sources: Sequence[str]) -> "DaySpending":
        new = {source: self.by_source.get(source, NOTHING).plus(cost) for source in sources}
        return DaySpending(self.town.plus(cost), {**self.by_source, **new})

    def find_exhausted(self, cost: AutomaticCost, sources: Sequence[str], limits: SendingLimits) -> str | None:
        """The budget that does not cover one more message, such as `source-segments` or `town-money`; None if all do.

        Shape: sources, the narrowest first; each wider one may cost more by a constant factor.
        """
        for width, source in enumerate(sources):
            budget = limits.source_budget.times(limits.wider_source_times**width)
            if excess := self.by_source.get(source, NOTHING).plus(cost).find_excess(budget, limits):
                return f"source-{excess}"
        excess = self.town.plus(cost).find_excess(limits.town_budget, limits)
        return f"town-{excess}" if excess else None


def is_paid(delivery: Delivery) -> bool:
    """Whether nobody decided to send it and it costs money: an automatic SMS or letter."""
    return delivery.is_automatic and channel(delivery.channel).template_medium in ("sms", "letter")


def refuse_over_budget(delivery: Delivery, sent: SendCounts, limits: SendingLimits) -> Transition | None:
    """The end of a delivery that exceeds a limit; None if it may be sent. Call it under the address's lock, before reserving."""
    if sent.of_same_kind and delivery.kind == "receipt":
        return Transition("cancelled", detail="another receipt of this conversation was sent before")
    most = limits.registrations_per_conversation
    if delivery.kind == "registration" and (sent.has_registration or sent.of_same_kind >= most):
        return Transition("failed", "budget", f"one registration for each person in a conversation, {most} in all")
    if delivery.is_automatic and sent.automatic >= limits.automatic_per_day:
        return Transition("failed", "budget", f"{limits.automatic_per_day} automatic messages in 24 hours")
    if not delivery.is_automatic and sent.answers >= limits.answers_per_day:
        return Transition("failed", "budget", f"{limits.answers_per_day} answers in 24 hours")
    if sent.in_conversation >= limits.messages_per_conversation_and_day:
        return Transition(
            "failed", "budget", f"{limits.messages_per_conversation_and_day} messages of one conversation in 24 hours"
        )
    return None
