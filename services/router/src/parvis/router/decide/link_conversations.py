"""A wish to link two conversations, or to take it back, in; what both departments are told out. Pure; no I/O."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from parvis.common.contract.contact import ConversationId
from parvis.common.contract.routing.split_and_link import (
    ConversationLinked,
    ConversationUnlinked,
    LinkRefused,
    LinkRequested,
)
from parvis.router.decide.conversation_history import ConversationHistory
from parvis.router.decide.request_rows import decision_id, refusal_row, second_decision_id, step_row
from parvis.router.models.stored_rows import Conversation, DecisionRow

LinkRefusalReason = Literal[
    "stale", "unknown conversation", "unknown reference", "already linked", "not linked", "the same"
]


def link_refusal_reason(
    wish: LinkRequested, conversation: Conversation | None, other: Conversation | None, past: ConversationHistory
) -> LinkRefusalReason | None:
    """Why the wish is refused; none when it is done."""
    if conversation is None:
        return "unknown conversation"
    if conversation.department != wish.from_department:
        return "stale"
    if other is None:
        return "unknown reference"
    if other.id == conversation.id:
        return "the same"
    is_linked = other.reference in past.linked
    if wish.wanted == "linked":
        return "already linked" if is_linked else None
    return None if is_linked else "not linked"


def refuse_link(
    wish: LinkRequested, conversation: Conversation | None, why: LinkRefusalReason, *, at: datetime
) -> DecisionRow:
    """Nothing changes; the department that asked is told."""
    refused = LinkRefused(
        link_id=wish.link_id,
        conversation_id=wish.conversation_id,
        other_reference=wish.other_reference,
        from_department=wish.from_department,
        current_department=conversation.department if conversation else None,
        why=why,
        at=at,
    )
    return refusal_row(decision_id(wish), conversation, refused, at)


def link_conversations(
    wish: LinkRequested, conversation: Conversation, other: Conversation, *, at: datetime
) -> tuple[DecisionRow, DecisionRow]:
    """Link two conversations, or part them: a number of each, so that it has its place in both.

    Needs: both rows locked and the wish not to be refused; their sequences are changed here.
    """
    key = decision_id(wish)
    return _side(wish, conversation, other, at, key), _side(wish, other, conversation, at, second_decision_id(key))


def _side(wish: LinkRequested, here: Conversation, there: Conversation, at: datetime, key: UUID) -> DecisionRow:
    kind = ConversationLinked if wish.wanted == "linked" else ConversationUnlinked
    here.sequence += 1
    told = kind(
        conversation_id=ConversationId(str(here.id)),
        sequence=here.sequence,
        reference=here.reference,
        department=here.department,
        other_conversation=ConversationId(str(there.id)),
        other_reference=there.reference,
        other_department=there.department,
        reason=wish.reason,
        at=at,
    )
    return step_row(key, wish.wanted, here, told, at)
