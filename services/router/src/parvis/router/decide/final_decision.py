"""What the rules say of a contact and where it belongs in, the decision as it is told out. Pure; no I/O."""

from collections.abc import Sequence

from msgspec.structs import replace

from parvis.common.contract.contact import TRIAGE, ContactReceived
from parvis.common.contract.routing.decisions import RunnerUp, Suggestion
from parvis.common.town.models import TownConfig
from parvis.router.decide import fast_models
from parvis.router.decide.department import Decision
from parvis.router.decide.find_conversation import ConversationMatch, MatchedBy, WaitingContact, is_clear
from parvis.router.decide.routing_reasons import (
    continued_reason,
    drifted_reason,
    followed_reason,
    given_up_reason,
    unanswered_reason,
)
from parvis.router.models.stored_rows import Conversation

_MOST_RUNNERS_UP = 3
# What says nothing of a department by itself: then a closed conversation's own department has the one that follows it.
_WEAK = frozenset({"default", "model", "place"})


def decide_opening(decision: Decision, where: ConversationMatch, town_config: TownConfig) -> Decision:
    """What the rules say; where they say nothing and a closed conversation is followed, its department."""
    closed = where.follows
    if closed is None:
        return decision
    if decision.rule not in _WEAK:
        return replace(decision, reason=followed_reason(closed.reference, decision.reason))
    department = town_config.departments[town_config.current_department(closed.department)]
    return replace(
        decision,
        department=department.slug,
        procedure=closed.procedure,
        rule="linked",
        matched=(where.by,) if where.by else (),
        confidence=1.0,
        runners_up=_others((decision,), department.slug),
        reason=followed_reason(closed.reference, department=department),
    )


def decide_continuing(
    conversation: Conversation, decision: Decision, by: MatchedBy, town_config: TownConfig
) -> Decision:
    """The conversation's department decides; what the words alone would have said becomes the runner-up."""
    department = town_config.departments[conversation.department]
    differs = decision.rule != "default" and decision.department != conversation.department
    return replace(
        decision,
        department=conversation.department,
        procedure=conversation.procedure,
        rule="conversation",
        matched=(by,),
        confidence=1.0,
        runners_up=_others((decision,), conversation.department) if differs else (),
        reason=continued_reason(by, conversation.reference, department),
    )


def suggest_split(
    contact: ContactReceived, conversation: Conversation, decision: Decision, town_config: TownConfig
) -> Suggestion | None:
    """That people may split the contact off: the rules clearly give it to another department."""
    if contact.machine or not is_clear(decision) or decision.department == conversation.department:
        return None
    department = town_config.departments[decision.department]
    return fast_models.Suggestion(
        department=department.slug, confidence=decision.confidence, why=drifted_reason(department)
    )


def decide_unanswered(head: WaitingContact, candidates: Sequence[Conversation]) -> Decision:
    """That people must find out which of the candidates is meant."""
    return replace(
        head.decision,
        department=TRIAGE,
        procedure=None,
        rule="unanswered",
        matched=("question",),
        confidence=0.0,
        runners_up=_others((head.decision, *candidates), TRIAGE),
        reason=unanswered_reason([one.reference for one in candidates]),
    )


def decide_given_up(contact: ContactReceived) -> Decision:
    """What is said of a contact that was tried in vain too often: no rule is asked."""
    return Decision(
        department=TRIAGE,
        procedure=None,
        rule="trouble",
        matched=(),
        confidence=0.0,
        runners_up=(),
        reason=given_up_reason(),
        urgency="normal",
        language=contact.language,
        rules_version="none",
    )


def _others(found: Sequence[Decision | Conversation], department: str) -> tuple[RunnerUp, ...]:
    """The other departments, each once."""
    others: dict[str, RunnerUp] = {}
    for one in found:
        if isinstance(one, Conversation):
            others.setdefault(
                one.department, fast_models.RunnerUp(department=one.department, rule="conversation", confidence=0.5)
            )
        else:
            told = fast_models.RunnerUp(department=one.department, rule=one.rule, confidence=one.confidence)
            others.setdefault(one.department, told)
            for other in one.runners_up:
                others.setdefault(other.department, other)
    others.pop(department, None)
    return tuple(others.values())[:_MOST_RUNNERS_UP]
