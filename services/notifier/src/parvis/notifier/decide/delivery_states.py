"""Decides the next state of a delivery after an attempt, a report, a status query or a lapsed lease. Pure; no I/O."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from parvis.common.contract.channels import channel
from parvis.common.contract.contact import ClaimCheck
from parvis.common.contract.delivery import (
    DeliveryReported,
    DeliveryState,
    FailureClass,
    LetterStage,
    is_late_bounce,
    is_later_stage,
    outranks,
)
from parvis.notifier.decide.channel_lookup import contact_point_kind_of
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
# Behind a circuit breaker a longer wait spares nobody: after an outage of five minutes, SMS waited for five more.
LONGEST_BEHIND_A_BREAKER = timedelta(seconds=40)


@dataclass(frozen=True)
class Transition:
    """A delivery's change to its next state."""

    state: DeliveryState
    failure_class: FailureClass | None = None
    detail: str = ""
    wait: timedelta = timedelta()
    was_not_taken: bool = False  # the provider certainly did not take this attempt
    stage: LetterStage | None = None


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
    """The state of a delivery after an attempt.

    Shape:  current, its row now: a callback, or another process's attempt, may have come before the provider's answer.
            chance, between 0 and 1, spreads retries that wait together. is_pausable: a circuit breaker spares the provider.
    """
    unchanged = Transition(current.state, current.failure_class, current.detail)
    if current.attempt != attempt and outcome.state not in {"accepted", "delivered"}:
        return unchanged  # a later attempt decides
    if outcome.state != "retry":
        better = outranks(outcome.state, current.state)
        refused = outcome.state == "failed"
        return (
            Transition(outcome.state, outcome.failure_class, outcome.detail, was_not_taken=refused, stage=outcome.stage)
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
    """The delivery in its next state; values that are not given stay."""
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
        stage=to.stage if is_later_stage(to.stage, delivery.stage) else delivery.stage,
    )


def transition_from_report(report: DeliveryReported, current: Delivery) -> Transition | None:
    """The state after a callback, a bounce or a returned letter; None if it changes nothing. Reports come in any order, and repeatedly."""
    failure_class = report.failure_class
    if report.outcome not in {"undelivered", "failed"}:
        failure_class = None  # a complaint concerns a delivered message: it is a preference, not a failure
    failed = failure_class if report.outcome == "undelivered" else current.failure_class
    if not outranks(report.outcome, current.state, came_back=is_late_bounce(current.channel, failed)):
        return None
    is_returned_letter = report.outcome == "undelivered" and contact_point_kind_of(current.channel) == "post"
    return Transition(report.outcome, failure_class, report.detail, stage="returned" if is_returned_letter else None)


def should_fall_back(delivery: Delivery) -> bool:
    """Whether a failed delivery's reply moves to the citizen's next channel.

    `unknown` does not: it may have arrived. Neither does what a budget stopped or people already have.
    """
    return (
        delivery.state in {"failed", "undelivered"}
        and contact_point_kind_of(delivery.channel) is not None
        and delivery.failure_class not in FOR_PEOPLE
        and delivery.moves_to is None
    )


def retry_delay(attempt: int, chance: float, longest: timedelta) -> timedelta:
    """5 s, doubled at every attempt up to `longest`, less a random share of up to half."""
    return min(FIRST_WAIT * 2 ** min(attempt - 1, 10), longest) * (1 - chance / 2)


def state_after_lapsed_lease(delivery: Delivery) -> DeliveryState:
    """The state of a reserved delivery whose process died: `unknown`, as it may have been sent, unless sending twice is harmless."""
    return "planned" if channel(delivery.channel).is_resent_safely else "unknown"


def transition_from_lookup(message: ProviderMessage) -> Transition:
    """The state in the provider's own record."""
    return Transition(message.state, message.failure_class, message.detail)


def transition_when_absent(delivery: Delivery) -> Transition:
    """The state of an old delivery that no provider has: it was never taken, so it is sent again, once.

    If it is missing a second time, the query itself may be wrong, and the reply moves to another channel.
    """
    if delivery.resent_at is None:
        return Transition("planned", detail="no provider has it: sent again", was_not_taken=True)
    return Transition("failed", "temporary", "no provider has it, twice", was_not_taken=True)


def may_resend(delivery: Delivery) -> bool:
    """Whether an unknown delivery is sent a second and last time. An agent's answer is not: its agent decides."""
    return delivery.kind in RESENT and delivery.resent_at is None
