"""Builds a contact's routing: the rules' decision, its number in the conversation, its due dates. Pure; no I/O."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from parvis.common.contract.contact import ContactReceived, ConversationId, Reference
from parvis.common.contract.routing.decisions import (
    CandidateConversation,
    Routing,
    SplitSuggestion,
    make_conversation_id,
)
from parvis.router.decide import msgspec_contract_types
from parvis.router.decide.assignment_context import AssignmentContext
from parvis.router.decide.department import Decision
from parvis.router.decide.possible_danger import advise_reading_first, is_possible_danger
from parvis.router.decide.thanks import is_only_thanks
from parvis.router.models.stored_rows import Conversation


class ConversationState(msgspec.Struct, frozen=True, gc=False):
    """The state of a conversation after a contact was added to it."""

    conversation_id: ConversationId
    reference: Reference
    sequence: int
    department: str
    linked_to: UUID | None = None


def may_continue(contact: ContactReceived) -> bool:
    """Whether a contact names a conversation, or thanks for one, so that conversations must be read and locked first."""
    thread = contact.thread
    is_named = thread.conversation_id is not None or thread.reference is not None or bool(thread.in_reply_to)
    return is_named or is_only_thanks(contact)


def route_new_conversation(
    contact: ContactReceived, decision: Decision, context: AssignmentContext, *, at: datetime
) -> Routing:
    """The routing of a contact that opens a conversation; equal to `assign_contact` with no known conversation."""
    id_ = make_conversation_id(contact.contact_id, contact.received_at)
    department = context.town_config.current_department(decision.department)
    return build_routing(contact, decision, ConversationState(id_, contact.reference, 1, department), context, at=at)


def step_of(conversation: Conversation) -> ConversationState:
    """The conversation's last step."""
    return ConversationState(
        ConversationId(str(conversation.id)),
        conversation.reference,
        conversation.sequence,
        conversation.department,
        conversation.linked_to,
    )


def build_routing(
    contact: ContactReceived,
    decision: Decision,
    step: ConversationState,
    context: AssignmentContext,
    *,
    at: datetime,
    suggestion: SplitSuggestion | None = None,
    candidates: Sequence[Conversation] = (),
    only_thanks: bool = False,
) -> Routing:  # fmt: skip
    """The routing of a contact in its conversation."""
    rules = context.town_config.legal_deadlines(decision.procedure)
    due = context.calendar.compute_deadlines(contact.received_at, rules)
    return msgspec_contract_types.Routing(
        conversation_id=step.conversation_id,
        sequence=step.sequence,
        department=step.department,
        reference=step.reference,
        procedure=decision.procedure,
        rule=decision.rule,
        rules_version=decision.rules_version,
        model=decision.model,
        matched=decision.matched,
        confidence=decision.confidence,
        runners_up=decision.runners_up,
        reason=advise_reading_first(decision.reason) if is_possible_danger(decision) else decision.reason,
        urgency=decision.urgency,
        tags=decision.tags,
        suggestion=suggestion,
        only_thanks=only_thanks or None,
        linked_to=ConversationId(str(step.linked_to)) if step.linked_to else None,
        candidates=tuple([_candidate(conversation) for conversation in candidates]),
        language=decision.language,
        received_at=contact.received_at,
        receipt_due_at=due.receipt_at,
        answer_due_at=due.answer_at,
        escalate_at=due.escalate_at,
        silence_at=due.silence_at,
        silence_means=rules.silence_means if due.silence_at else None,
        decided_at=at,
    )


def _candidate(conversation: Conversation) -> CandidateConversation:
    id_ = ConversationId(str(conversation.id))
    return msgspec_contract_types.CandidateConversation(
        conversation_id=id_, reference=conversation.reference, department=conversation.department
    )
