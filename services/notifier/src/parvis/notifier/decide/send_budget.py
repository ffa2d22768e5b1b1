"""What an address, a conversation and the whole town already got in; whether one more may leave out. Pure; no I/O."""

from dataclasses import dataclass

from parvis.notifier.decide.delivery_states import Next
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.models.limits import Limits


@dataclass(frozen=True)
class Sent:
    """What one address, and one conversation, already got."""

    automatic: int = 0
    answers: int = 0
    in_conversation: int = 0
    same_kind: bool = False  # a registration or a receipt of this conversation that did not fail


def refusal(delivery: Delivery, sent: Sent, limits: Limits) -> Next | None:
    """Why a due delivery must not be sent, if it must not: said before it is reserved, under the address's lock."""
    if sent.same_kind and delivery.kind == "receipt":
        return Next("cancelled", detail="another receipt of this conversation was sent before")
    if sent.same_kind and delivery.kind == "registration":
        return Next("failed", "budget", "one registration a conversation")
    if delivery.is_automatic and sent.automatic >= limits.automatic_a_day:
        return Next("failed", "budget", f"{limits.automatic_a_day} automatic messages in 24 hours")
    if not delivery.is_automatic and sent.answers >= limits.answers_a_day:
        return Next("failed", "budget", f"{limits.answers_a_day} answers in 24 hours")
    if sent.in_conversation >= limits.a_conversation_a_day:
        return Next("failed", "budget", f"{limits.a_conversation_a_day} messages of one conversation in 24 hours")
    return None
