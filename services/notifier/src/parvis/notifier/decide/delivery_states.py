"""An attempt's outcome, or a provider's report, and the delivery it is about in; the delivery's next state out. Pure; no I/O."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from parvis.common.contract.contact import ClaimCheck
from parvis.common.contract.delivery import DeliveryReported, DeliveryState, FailureClass, is_late_bounce, outranks
from parvis.notifier.models.delivery import FOR_PEOPLE, POINT_KIND, REPEATABLE, RESENT, Delivery, Found, Outcome
from parvis.notifier.models.limits import Limits

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=5)
# Where a breaker spares the provider, waiting longer spares nobody: after a storm of five minutes SMS waited for five more.
LONGEST_BEHIND_A_BREAKER = timedelta(seconds=40)
_BEHIND_A_BREAKER = frozenset({"sms", "whatsapp"})


@dataclass(frozen=True)
class Next:
    """How a delivery's row goes on after an attempt."""

    state: DeliveryState
    failure_class: FailureClass | None = None
    detail: str = ""
    wait: timedelta = timedelta()
    was_not_taken: bool = False  # the provider surely has nothing of this attempt


def after(outcome: Outcome, stands: Delivery, attempt: int, limits: Limits, *, now: datetime, chance: float) -> Next:
    """How a delivery goes on after an attempt.

    Shape:  stands, its row now: a callback, or a second attempt of another process, may have been faster than the answer.
            chance, between 0 and 1, spreads those that wait together.
    """
    as_it_is = Next(stands.state, stands.failure_class, stands.detail)
    if stands.attempt != attempt and outcome.state not in {"accepted", "delivered"}:
        return as_it_is  # what a later attempt brings counts
    if outcome.state != "retry":
        better = outranks(outcome.state, stands.state)
        refused = outcome.state == "failed"
        return Next(outcome.state, outcome.failure_class, outcome.detail, was_not_taken=refused) if better else as_it_is
    if stands.state not in {"reserved", "unknown"}:
        return as_it_is
    why, words = outcome.failure_class or "temporary", outcome.detail
    if stands.first_reserved_at and now - stands.first_reserved_at >= limits.retry_for:
        return Next("failed", why, words, was_not_taken=True)
    longest = LONGEST_BEHIND_A_BREAKER if stands.channel in _BEHIND_A_BREAKER else LONGEST_WAIT
    return Next("planned", why, words, back_off(attempt, chance, longest), was_not_taken=True)


def stepped(
    delivery: Delivery,
    to: Next,
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


def reported(report: DeliveryReported, stands: Delivery) -> Next | None:
    """What a callback, a bounce or a returned letter makes of a delivery; none when it is no news. They come in any order and number."""
    failure_class = report.failure_class
    if report.outcome not in {"undelivered", "failed"}:
        failure_class = None  # a complaint is said of what was delivered: it is a preference, not a failure
    failed = failure_class if report.outcome == "undelivered" else stands.failure_class
    if not outranks(report.outcome, stands.state, came_back=is_late_bounce(stands.channel, failed)):
        return None
    return Next(report.outcome, failure_class, report.detail)


def goes_on(stands: Delivery) -> bool:
    """Whether a reply that ended here goes on by the citizen's next channel.

    `unknown` never does: it may have arrived. What a budget stopped, or a person has already, is for people.
    """
    return (
        stands.state in {"failed", "undelivered"}
        and stands.channel in POINT_KIND
        and stands.failure_class not in FOR_PEOPLE
        and stands.moves_to is None
    )


def back_off(attempt: int, chance: float, longest: timedelta) -> timedelta:
    """5 s doubled at every attempt up to the longest, less up to half of it by chance."""
    return min(FIRST_WAIT * 2 ** min(attempt - 1, 10), longest) * (1 - chance / 2)


def after_a_lapsed_lease(delivery: Delivery) -> DeliveryState:
    """What a reserved delivery is whose process died: it may have left."""
    return "planned" if delivery.channel in REPEATABLE else "unknown"


def as_found(found: Found) -> Next:
    """What a provider's own record says."""
    return Next(found.state, found.failure_class, found.detail)


def as_absent(stands: Delivery) -> Next:
    """What to make of a delivery that no provider has, long after it was reserved: it was never taken, so it may be sent again.

    Once. Missing a second time, something is wrong with asking, and the reply goes on by another channel.
    """
    if stands.resent_at is None:
        return Next("planned", detail="no provider has it: sent again", was_not_taken=True)
    return Next("failed", "temporary", "no provider has it, twice", was_not_taken=True)


def may_resend(delivery: Delivery) -> bool:
    """Whether an unknown delivery is sent a second, last time. An answer is not: its agent is asked."""
    return delivery.kind in RESENT and delivery.resent_at is None
