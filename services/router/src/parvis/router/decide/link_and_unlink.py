"""Links or unlinks two conversations, or refuses to. Pure; no I/O."""

from dataclasses import dataclass, replace
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
from parvis.router.decide.department_request_rows import decision_id, refusal_row, second_decision_id, step_row
from parvis.router.models.stored_rows import Conversation, DecisionRow

LinkRefusalReason = Literal[
    "stale", "unknown conversation", "unknown reference", "already linked", "not linked", "the same"
]


def link_refusal_reason(
    request: LinkRequested, conversation: Conversation | None, other: Conversation | None, past: ConversationHistory
) -> LinkRefusalReason | None:
    """Why the request is refused; None when it is carried out."""
    if conversation is None:
        return "unknown conversation"
    if conversation.department != request.from_department:
        return "stale"
    if other is None:
        return "unknown reference"
    if other.id == conversation.id:
        return "the same"
    is_linked = other.reference in past.linked
    if request.wanted == "linked":
        return "already linked" if is_linked else None
    return None if is_linked else "not linked"


def refuse_link(
    request: LinkRequested, conversation: Conversation | None, why: LinkRefusalReason, *, at: datetime
) -> DecisionRow:
    """The refusal, for the requesting department. No conversation changes."""
    refused = LinkRefused(
        link_id=request.link_id,
        conversation_id=request.conversation_id,
        other_reference=request.other_reference,
        from_department=request.from_department,
        current_department=conversation.department if conversation else None,
        why=why,
        at=at,
    )
    return refusal_row(decision_id(request), conversation, refused, at)


@dataclass(frozen=True)
class LinkResult:
    """The state of both conversations after a link or unlink, and a row for each."""

    conversations: tuple[Conversation, Conversation]
    rows: tuple[DecisionRow, DecisionRow]


def link_conversations(
    request: LinkRequested, conversation: Conversation, other: Conversation, *, at: datetime
) -> LinkResult:
    """Link or unlink two conversations, as a numbered step in each.

    Needs: both rows locked, and no reason to refuse.
    """
    key = decision_id(request)
    updated, updated_other = _with_next_sequence(conversation), _with_next_sequence(other)
    rows = (
        _link_row(request, updated, updated_other, at, key),
        _link_row(request, updated_other, updated, at, second_decision_id(key)),
    )
    return LinkResult((updated, updated_other), rows)


def _with_next_sequence(conversation: Conversation) -> Conversation:
    return replace(conversation, sequence=conversation.sequence + 1)


def _link_row(
    request: LinkRequested, conversation: Conversation, other: Conversation, at: datetime, key: UUID
) -> DecisionRow:
    kind = ConversationLinked if request.wanted == "linked" else ConversationUnlinked
    event = kind(
        conversation_id=ConversationId(str(conversation.id)),
        sequence=conversation.sequence,
        reference=conversation.reference,
        department=conversation.department,
        other_conversation=ConversationId(str(other.id)),
        other_reference=other.reference,
        other_department=other.department,
        reason=request.reason,
        at=at,
    )
    return step_row(key, request.wanted, conversation, event, at)
