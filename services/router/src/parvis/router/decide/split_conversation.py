"""A wish to split and the locked conversation in, a second conversation and what both departments are told out. Pure; no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from parvis.common.contract.contact import ClaimCheck, ContactId, ConversationId
from parvis.common.contract.references import make_reference
from parvis.common.contract.routing.decisions import make_conversation_id
from parvis.common.contract.routing.history import PastContact
from parvis.common.contract.routing.split_and_link import (
    ConversationOpened,
    ConversationSplit,
    SplitRefused,
    SplitRequested,
)
from parvis.common.town.models import TownConfig
from parvis.router.decide.conversation_history import ConversationHistory, encode_last_source
from parvis.router.decide.deadlines import TownCalendar
from parvis.router.decide.request_rows import decision_id, due_dates, refusal_row, second_decision_id, step_row
from parvis.router.models.stored_rows import Conversation, DecisionRow

SplitRefusalReason = Literal[
    "stale", "unknown conversation", "unknown department", "unknown contact", "nothing would stay"
]


@dataclass(frozen=True)
class ConversationSplitResult:
    """A conversation that was made of contacts of another one, and the rows that say so."""

    new: Conversation
    contacts: tuple[PastContact, ...]
    senders: frozenset[tuple[str, str]]  # hash and channel: who may continue it by quoting its reference
    rows: tuple[DecisionRow, DecisionRow]


def split_refusal_reason(
    wish: SplitRequested, conversation: Conversation | None, past: ConversationHistory, town_config: TownConfig
) -> SplitRefusalReason | None:
    """Why the wish is refused; none when it is done."""
    if conversation is None:
        return "unknown conversation"
    if wish.to_department not in town_config.departments:
        return "unknown department"
    if conversation.department != wish.from_department:
        return "stale"
    here = {contact.contact_id for contact in past.contacts}
    if not here.issuperset(wish.contact_ids):
        return "unknown contact"
    return "nothing would stay" if here.issubset(wish.contact_ids) and not past.left_out else None


def refuse_split(
    wish: SplitRequested, conversation: Conversation | None, why: SplitRefusalReason, *, at: datetime
) -> DecisionRow:
    """Nothing moves; the department that asked is told."""
    refused = SplitRefused(
        split_id=wish.split_id,
        conversation_id=wish.conversation_id,
        from_department=wish.from_department,
        to_department=wish.to_department,
        current_department=conversation.department if conversation else None,
        why=why,
        at=at,
    )
    return refusal_row(decision_id(wish), conversation, refused, at)


def contacts_to_split(wish: SplitRequested, past: ConversationHistory) -> list[PastContact]:
    """The contacts that move out, oldest first."""
    wanted = set(wish.contact_ids)
    return [contact for contact in past.contacts if contact.contact_id in wanted]


def new_conversation(wish: SplitRequested, contacts: Sequence[PastContact], town_config: TownConfig) -> Conversation:
    """The new conversation, before its first number. Its id and reference follow from the split, as others' do from a contact."""
    seed, opened_at = ContactId(str(decision_id(wish))), min(contact.received_at for contact in contacts)
    wanted = town_config.current_department(wish.to_department)
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
    wish: SplitRequested,
    conversation: Conversation,
    made: Conversation,
    past: ConversationHistory,
    town_config: TownConfig,
    calendar: TownCalendar,
    *,
    history: ClaimCheck | None,
    at: datetime,
) -> ConversationSplitResult:
    """Do one split: a number of the conversation, and the first of the new one.

    Needs: the conversation's row locked and the wish not to be refused; both conversations are changed here.
    """
    key, contacts = decision_id(wish), contacts_to_split(wish, past)
    ids = tuple(contact.contact_id for contact in contacts)
    between = town_config.body_of(conversation.department) != town_config.body_of(made.department)
    due = due_dates(
        made.procedure, town_config, calendar, received_at=made.opened_at, competent_at=at if between else None
    )  # fmt: skip
    conversation.sequence += 1
    made.sequence += 1
    told = ConversationSplit(
        conversation_id=wish.conversation_id,
        sequence=conversation.sequence,
        reference=conversation.reference,
        department=conversation.department,
        contact_ids=ids,
        into_conversation=ConversationId(str(made.id)),
        into_reference=made.reference,
        into_department=made.department,
        reason=wish.reason,
        at=at,
    )
    opened = ConversationOpened(
        conversation_id=told.into_conversation,
        sequence=made.sequence,
        reference=made.reference,
        department=made.department,
        contact_ids=ids,
        out_of_conversation=wish.conversation_id,
        out_of_reference=conversation.reference,
        from_department=conversation.department,
        reason=wish.reason,
        history=history,
        procedure=made.procedure,
        language=next((contact.language for contact in reversed(contacts) if contact.language), None),
        body=town_config.body_of(made.department),
        received_at=made.opened_at,
        at=at,
        **due.model_dump(),
    )
    rows = (
        step_row(key, "split", conversation, told, at),
        step_row(second_decision_id(key), "opened", made, opened, at, came=encode_last_source(contacts)),
    )
    senders = frozenset((sender, channel) for contact, sender, channel in past.senders if contact in ids)
    return ConversationSplitResult(made, tuple(contacts), senders, rows)


def _procedure(contacts: Sequence[PastContact], department: str, town_config: TownConfig) -> str | None:
    """What the contacts were taken for, where the wanted department does that; else nobody knows yet."""
    stated = (town_config.procedure(contact.procedure) for contact in reversed(contacts))
    return next((one.slug for one in stated if one and one.department == department), None)
