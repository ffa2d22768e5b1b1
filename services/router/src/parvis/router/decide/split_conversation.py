"""Splits contacts off a conversation into a new one, or refuses to. Pure; no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from parvis.common.contract.contact import ClaimCheck, ContactId, ConversationId
from parvis.common.contract.references import make_reference
from parvis.common.contract.routing.conversation_history import PastContact
from parvis.common.contract.routing.decisions import make_conversation_id
from parvis.common.contract.routing.split_and_link import (
    ConversationOpened,
    ConversationSplit,
    SplitRefused,
    SplitRequested,
)
from parvis.common.town.models import TownConfig
from parvis.router.decide.assignment_context import AssignmentContext
from parvis.router.decide.conversation_history import ConversationHistory, encode_last_source
from parvis.router.decide.department_request_rows import (
    decision_id,
    due_dates,
    move_refusal_reason,
    refusal_row,
    second_decision_id,
    step_row,
)
from parvis.router.models.stored_rows import Conversation, DecisionRow

SplitRefusalReason = Literal[
    "stale", "unknown conversation", "unknown department", "unknown contact", "nothing would stay"
]


@dataclass(frozen=True)
class ConversationSplitResult:
    """The state of both conversations after a split, the contacts that moved, and a row for each."""

    conversation: Conversation
    new: Conversation
    contacts: tuple[PastContact, ...]
    senders: frozenset[tuple[str, str]]  # (hash, channel) of the senders who may continue it by quoting its reference
    rows: tuple[DecisionRow, DecisionRow]


def split_refusal_reason(
    request: SplitRequested, conversation: Conversation | None, past: ConversationHistory, town_config: TownConfig
) -> SplitRefusalReason | None:
    """Why the request is refused; None when it is carried out."""
    if reason := move_refusal_reason(request, conversation, town_config):
        return reason
    here = {contact.contact_id for contact in past.contacts}
    if not here.issuperset(request.contact_ids):
        return "unknown contact"
    return "nothing would stay" if here.issubset(request.contact_ids) and not past.left_out else None


def refuse_split(
    request: SplitRequested, conversation: Conversation | None, why: SplitRefusalReason, *, at: datetime
) -> DecisionRow:
    """The refusal, for the requesting department. No contact moves."""
    refused = SplitRefused(
        split_id=request.split_id,
        conversation_id=request.conversation_id,
        from_department=request.from_department,
        to_department=request.to_department,
        current_department=conversation.department if conversation else None,
        why=why,
        at=at,
    )
    return refusal_row(decision_id(request), conversation, refused, at)


def contacts_to_split(request: SplitRequested, past: ConversationHistory) -> list[PastContact]:
    """The contacts that move into the new conversation, oldest first."""
    wanted = set(request.contact_ids)
    return [contact for contact in past.contacts if contact.contact_id in wanted]


def new_conversation(request: SplitRequested, contacts: Sequence[PastContact], town_config: TownConfig) -> Conversation:
    """The new conversation, without a step yet. Its id and reference are derived from the request."""
    seed, opened_at = ContactId(str(decision_id(request))), min(contact.received_at for contact in contacts)
    wanted = town_config.current_department(request.to_department)
    return Conversation(
        id=UUID(make_conversation_id(seed, opened_at)),
        reference=make_reference(seed),
        department=wanted,
        sequence=0,
        procedure=_procedure(contacts, wanted, town_config),
        opened_at=opened_at,
        last_contact_at=max(contact.received_at for contact in contacts),
        is_new=True,
    )


def split_conversation(
    request: SplitRequested,
    conversation: Conversation,
    new: Conversation,
    past: ConversationHistory,
    context: AssignmentContext,
    *,
    history: ClaimCheck | None,
    at: datetime,
) -> ConversationSplitResult:
    """Split contacts off: one step in the conversation, and the first step in the new one.

    Needs: the conversation's row locked, and no reason to refuse.
    """
    key, contacts = decision_id(request), contacts_to_split(request, past)
    ids = tuple(contact.contact_id for contact in contacts)
    town_config = context.town_config
    between = town_config.body_of(conversation.department) != town_config.body_of(new.department)
    due = due_dates(
        new.procedure, context, received_at=new.opened_at, competent_at=at if between else None
    )  # fmt: skip
    conversation = replace(conversation, sequence=conversation.sequence + 1)
    new = replace(new, sequence=new.sequence + 1)
    event = ConversationSplit(
        conversation_id=request.conversation_id,
        sequence=conversation.sequence,
        reference=conversation.reference,
        department=conversation.department,
        contact_ids=ids,
        into_conversation=ConversationId(str(new.id)),
        into_reference=new.reference,
        into_department=new.department,
        reason=request.reason,
        at=at,
    )
    opened = ConversationOpened(
        conversation_id=event.into_conversation,
        sequence=new.sequence,
        reference=new.reference,
        department=new.department,
        contact_ids=ids,
        out_of_conversation=request.conversation_id,
        out_of_reference=conversation.reference,
        from_department=conversation.department,
        reason=request.reason,
        history=history,
        procedure=new.procedure,
        language=next((contact.language for contact in reversed(contacts) if contact.language), None),
        body=town_config.body_of(new.department),
        received_at=new.opened_at,
        at=at,
        **due.model_dump(),
    )
    rows = (
        step_row(key, "split", conversation, event, at),
        step_row(second_decision_id(key), "opened", new, opened, at, source=encode_last_source(contacts)),
    )
    senders = frozenset((sender, channel) for contact, sender, channel in past.senders if contact in ids)
    return ConversationSplitResult(conversation, new, tuple(contacts), senders, rows)


def _procedure(contacts: Sequence[PastContact], department: str, town_config: TownConfig) -> str | None:
    """The contacts' latest procedure that belongs to the wanted department; None if there is none."""
    stated = (town_config.procedure(contact.procedure) for contact in reversed(contacts))
    return next((procedure.slug for procedure in stated if procedure and procedure.department == department), None)
