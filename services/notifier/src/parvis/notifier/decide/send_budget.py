"""Checks a delivery against the daily limits of its address and conversation. Pure; no I/O."""

from dataclasses import dataclass

from parvis.common.contract.channels import channel
from parvis.notifier.decide.delivery_states import Transition
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.models.limits import SendingLimits


@dataclass(frozen=True)
class SendCounts:
    """The messages that one address and one conversation have already got."""

    automatic: int = 0
    answers: int = 0
    in_conversation: int = 0
    has_same_kind: bool = False  # a registration or a receipt of this conversation that did not fail


@dataclass(frozen=True)
class AutomaticCost:
    """The automatic messages of a day that cost money."""

    sms: int = 0
    letters: int = 0

    def plus(self, delivery: Delivery) -> "AutomaticCost":
        """With one more delivery; unchanged by an answer, or by a mail."""
        if not delivery.is_automatic:
            return self
        medium = channel(delivery.channel).template_medium
        return AutomaticCost(self.sms + (medium == "sms"), self.letters + (medium == "letter"))

    def is_within(self, limits: SendingLimits) -> bool:
        cents = self.sms * limits.sms_cents + self.letters * limits.letter_cents
        return (
            self.sms <= limits.automatic_sms_per_day
            and self.letters <= limits.automatic_letters_per_day
            and cents <= limits.automatic_cents_per_day
        )


def refuse_over_budget(delivery: Delivery, sent: SendCounts, limits: SendingLimits) -> Transition | None:
    """The end of a delivery that exceeds a limit; None if it may be sent. Call it under the address's lock, before reserving."""
    if sent.has_same_kind and delivery.kind == "receipt":
        return Transition("cancelled", detail="another receipt of this conversation was sent before")
    if sent.has_same_kind and delivery.kind == "registration":
        return Transition("failed", "budget", "one registration per conversation")
    if delivery.is_automatic and sent.automatic >= limits.automatic_per_day:
        return Transition("failed", "budget", f"{limits.automatic_per_day} automatic messages in 24 hours")
    if not delivery.is_automatic and sent.answers >= limits.answers_per_day:
        return Transition("failed", "budget", f"{limits.answers_per_day} answers in 24 hours")
    if sent.in_conversation >= limits.messages_per_conversation_and_day:
        return Transition(
            "failed", "budget", f"{limits.messages_per_conversation_and_day} messages of one conversation in 24 hours"
        )
    return None
