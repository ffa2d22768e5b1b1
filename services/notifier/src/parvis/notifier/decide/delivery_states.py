"""Decides the next state of a delivery after an attempt, a report, a look-up at the provider or a lapsed lease. Pure; no I/O."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from parvis.common.contract.channels import channel
from parvis.common.contract.contact import ClaimCheck
from parvis.common.contract.delivery import DeliveryReported, DeliveryState, FailureClass, is_late_bounce, outranks
from parvis.notifier.decide.reply_channels import contact_point_kind_of
from parvis.notifier.models.delivery import (
    FOR_PEOPLE,
    RESENT,
    Delivery,
    ProviderMessage,
    SendOutcome,
)
from parvis.notifier.models.limits import SendingLimits

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=5)
# Where a breaker spares the provider, waiting longer spares nobody: after a storm of five minutes SMS waited for five more.
LONGEST_BEHIND_A_BREAKER = timedelta(seconds=40)


@dataclass(frozen=True)
class Transition:
    """The step of a delivery to its next state."""

    state: DeliveryState
    failure_class: FailureClass | None = None
    detail: str = ""
    wait: timedelta = timedelta()
    was_not_taken: bool = False  # the provider surely has nothing of this attempt


def transition_after_attempt(
    outcome: SendOutcome,
    current: Delivery,
    attempt: int,
    limits: SendingLimits,
    *,
    now: datetime,
    chance: float,
    is_pausable: bool = False,
) -> Transition:
    """How a delivery goes on after an attempt.

    Shape:  stands, its row now: a callback, or a second attempt of another process, may have been faster than the answer.
            chance, between 0 and 1, spreads those that wait together. is_pausable: a circuit breaker spares the provider.
    """
    unchanged = Transition(current.state, current.failure_class, current.detail)
    if current.attempt != attempt and outcome.state not in {"accepted", "delivered"}:
        return unchanged  # what a later attempt brings counts
    if outcome.state != "retry":
        better = outranks(outcome.state, current.state)
        refused = outcome.state == "failed"
        return (
            Transition(outcome.state, outcome.failure_class, outcome.detail, was_not_taken=refused)
            if better
            else unchanged
        )
    if current.state not in {"reserved", "unknown"}:
        return unchanged
    failure_class, detail = outcome.failure_class or "temporary", outcome.detail
    if current.first_reserved_at and now - current.first_reserved_at >= limits.retry_for:
        return Transition("failed", failure_class, detail, was_not_taken=True)
    longest = LONGEST_BEHIND_A_BREAKER if is_pausable else LONGEST_WAIT
    return Transition("planned", failure_class, detail, retry_delay(attempt, chance, longest), was_not_taken=True)


def apply_transition(
    delivery: Delivery,
    to: Transition,
    now: datetime,
    *,
    provider: str | None = None,
    provider_id: str | None = None,
    evidence: ClaimCheck | None = None,
    resent_at: datetime | None = None,
) -> Delivery:
    """A delivery in its next state; what is not given stays."""
    return replace(
        delivery,
        state=to.state,
        send_at=now + to.wait if to.state == "planned" else delivery.send_at,
        failure_class=to.failure_class,
        detail=to.detail,
        provider=provider or delivery.provider,
        provider_id=provider_id or delivery.provider_id,
        evidence=evidence or delivery.evidence,
        resent_at=resent_at or delivery.resent_at,
        sends=max(0, delivery.sends - to.was_not_taken),
    )


def transition_from_report(report: DeliveryReported, current: Delivery) -> Transition | None:
    """What a callback, a bounce or a returned letter makes of a delivery; none when it is no news. They come in any order and number."""
    failure_class = report.failure_class
    if report.outcome not in {"undelivered", "failed"}:
        failure_class = None  # a complaint is said of what was delivered: it is a preference, not a failure
    failed = failure_class if report.outcome == "undelivered" else current.failure_class
    if not outranks(report.outcome, current.state, came_back=is_late_bounce(current.channel, failed)):
        return None
    return Transition(report.outcome, failure_class, report.detail)


def should_fall_back(delivery: Delivery) -> bool:
    """Whether a reply that ended here goes on by the citizen's next channel.

    `unknown` never does: it may have arrived. What a budget stopped, or a person has already, is for people.
    """
    return (
        delivery.state in {"failed", "undelivered"}
        and contact_point_kind_of(delivery.channel) is not None
        and delivery.failure_class not in FOR_PEOPLE
        and delivery.moves_to is None
    )


def retry_delay(attempt: int, chance: float, longest: timedelta) -> timedelta:
    """5 s doubled at every attempt up to the longest, less up to half of it by chance."""
    return min(FIRST_WAIT * 2 ** min(attempt - 1, 10), longest) * (1 - chance / 2)


def state_after_lapsed_lease(delivery: Delivery) -> DeliveryState:
    """What a reserved delivery is whose process died: it may have left."""
    return "planned" if channel(delivery.channel).is_resent_safely else "unknown"


def transition_from_lookup(message: ProviderMessage) -> Transition:
    """What a provider's own record says."""
    return Transition(message.state, message.failure_class, message.detail)


def transition_when_absent(delivery: Delivery) -> Transition:
    """What to make of a delivery that no provider has, long after it was reserved: it was never taken, so it may be sent again.

    Once. Missing a second time, something is wrong with asking, and the reply goes on by another channel.
    """
    if delivery.resent_at is None:
        return Transition("planned", detail="no provider has it: sent again", was_not_taken=True)
    return Transition("failed", "temporary", "no provider has it, twice", was_not_taken=True)


def may_resend(delivery: Delivery) -> bool:
    """Whether an unknown delivery is sent a second, last time. An answer is not: its agent is asked."""
    return delivery.kind in RESENT and delivery.resent_at is None
