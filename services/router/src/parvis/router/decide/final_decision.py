"""Completes the rules' decision once the conversation is known: continued, opened, unanswered or given up. Pure; no I/O."""

from collections.abc import Sequence

from msgspec.structs import replace

from parvis.common.contract.contact import TRIAGE, ContactReceived
from parvis.common.contract.routing.decisions import OTHER_PERSON, RunnerUp, SplitSuggestion
from parvis.common.town.models import TownConfig
from parvis.router.decide import msgspec_contract_types
from parvis.router.decide.conversation_working_set import WaitingContact
from parvis.router.decide.department import WRITTEN_DOWN, Decision
from parvis.router.decide.find_conversation import ConversationMatch, is_clear
from parvis.router.decide.possible_danger import is_possible_danger, is_sure_danger
from parvis.router.decide.routing_reasons import (
    continuation_reason,
    drift_reason,
    follow_up_reason,
    given_up_reason,
    unanswered_reason,
)
from parvis.router.models.stored_rows import Conversation

_MOST_RUNNERS_UP = 3
# Rules that name no department by themselves: the closed conversation's department then gets the new one.
_WEAK = frozenset({"default", "model", "place"})


def decide_opening(decision: Decision, match: ConversationMatch, town_config: TownConfig) -> Decision:
    """The rules' decision; if it follows a closed conversation and they decide nothing and speak of no danger, or an agent named that one, its department."""
    closed = match.follows
    if closed is None:
        return decision
    if (decision.rule not in _WEAK or is_possible_danger(decision)) and match.by != "staff":
        return replace(decision, reason=follow_up_reason(closed.reference, decision.reason))
    department = town_config.departments[town_config.current_department(closed.department)]
    return replace(
        decision,
        department=department.slug,
        procedure=closed.procedure,
        rule="linked",
        matched=(match.by,) if match.by else (),
        confidence=1.0,
        runners_up=_others((decision,), department.slug),
        reason=follow_up_reason(closed.reference, department=department),
    )


def decide_continuing(
    conversation: Conversation, decision: Decision, match: ConversationMatch, town_config: TownConfig
) -> Decision:
    """The conversation's department; the department that the words alone suggest becomes the runner-up."""
    department, by = town_config.departments[conversation.department], match.by or "sender"
    differs = decision.rule != "default" and decision.department != conversation.department
    return replace(
        decision,
        department=conversation.department,
        procedure=conversation.procedure,
        rule="conversation",
        matched=(by, OTHER_PERSON) if match.is_other_person else (by,),
        confidence=1.0,
        runners_up=_others((decision,), conversation.department) if differs else (),
        reason=continuation_reason(by, conversation.reference, department),
    )


def suggest_split(
    contact: ContactReceived, conversation: Conversation, decision: Decision, town_config: TownConfig
) -> SplitSuggestion | None:
    """Suggest that an agent split the contact off, if the rules clearly name another department, or it is surely a danger."""
    if (
        contact.machine
        or decision.rule == WRITTEN_DOWN
        or not (is_clear(decision) or is_sure_danger(decision))
        or decision.department == conversation.department
    ):
        return None
    department = town_config.departments[decision.department]
    return msgspec_contract_types.SplitSuggestion(
        department=department.slug, confidence=decision.confidence, why=drift_reason(department)
    )


def decide_unanswered(head: WaitingContact, candidates: Sequence[Conversation]) -> Decision:
    """Send the contact to triage: a person finds out which of the candidates is meant."""
    return replace(
        head.decision,
        department=TRIAGE,
        procedure=None,
        rule="unanswered",
        matched=("question",),
        confidence=0.0,
        runners_up=_others((head.decision, *candidates), TRIAGE),
        reason=unanswered_reason([candidate.reference for candidate in candidates]),
    )


def decide_given_up(contact: ContactReceived) -> Decision:
    """Send a contact that failed too often to triage, without applying rules."""
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


def _others(sources: Sequence[Decision | Conversation], department: str) -> tuple[RunnerUp, ...]:
    """The other departments, each once."""
    others: dict[str, RunnerUp] = {}
    for source in sources:
        for other in _runners_up(source):
            others.setdefault(other.department, other)
    others.pop(department, None)
    return tuple(others.values())[:_MOST_RUNNERS_UP]


def _runners_up(source: Decision | Conversation) -> tuple[RunnerUp, ...]:
    if isinstance(source, Conversation):
        return (msgspec_contract_types.RunnerUp(department=source.department, rule="conversation", confidence=0.5),)
    own = msgspec_contract_types.RunnerUp(department=source.department, rule=source.rule, confidence=source.confidence)
    return (own, *source.runners_up)
