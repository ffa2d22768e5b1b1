"""Contacts with their decisions and the locked conversations in, numbered routings out. Pure; no I/O."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from parvis.common.contact import ContactReceived, ConversationId, Reference
from parvis.common.directory import Directory, said_in
from parvis.common.routing import Routing, conversation_id
from parvis.router.decide import swift
from parvis.router.decide.clocks import Calendar
from parvis.router.decide.conversation import Known, Windows, resolve
from parvis.router.decide.department import Decision
from parvis.router.tables import Conversation


@dataclass(frozen=True, slots=True)
class Placed:
    """A contact in its conversation, with its number. `opens` when it is the first."""

    contact: ContactReceived
    routing: Routing
    opens: bool


@dataclass(frozen=True)
class Placing:
    """What placing needs beside the contacts: the same for every batch."""

    directory: Directory
    calendar: Calendar
    windows: Windows


def place(contact: ContactReceived, decision: Decision, known: Known, placing: Placing, *, at: datetime) -> Placed:
    """Put one contact into its conversation and give it the next number.

    Needs: the rows of `known` locked; they are changed here, and contacts come in the order of their records.
    """
    found = resolve(contact, known, placing.windows)
    conversation = found or _opened_by(contact, decision)
    conversation.sequence += 1
    conversation.closed_at = None
    conversation.last_contact_at = max(conversation.last_contact_at, contact.received_at)
    conversation.department = placing.directory.current(conversation.department)
    known.note(contact, conversation)
    told = _continuing(conversation, decision, placing.directory) if found else decision
    routing = routing_of(
        contact, told, placing,
        conversation=ConversationId(str(conversation.id)), reference=conversation.reference,
        sequence=conversation.sequence, department=conversation.department, at=at,
    )  # fmt: skip
    return Placed(contact, routing, opens=found is None)


def _opened_by(contact: ContactReceived, decision: Decision) -> Conversation:
    return Conversation(
        id=UUID(conversation_id(contact.contact_id)),
        reference=contact.reference,
        department=decision.department,
        sequence=0,
        procedure=decision.procedure,
        opened_at=contact.received_at,
        last_contact_at=contact.received_at,
        is_new=True,
    )


def _continuing(conversation: Conversation, decision: Decision, directory: Directory) -> Decision:
    """The conversation's department decides; what the words alone would have said becomes the runner-up."""
    name = directory.departments[conversation.department].name
    other = swift.RunnerUp(department=decision.department, rule=decision.rule, confidence=decision.confidence)
    differs = decision.rule != "default" and decision.department != conversation.department
    return replace(
        decision,
        department=conversation.department,
        procedure=conversation.procedure,
        rule="conversation",
        matched=("conversation",),
        confidence=1.0,
        runners_up=(other, *decision.runners_up)[:3] if differs else (),
        reason={
            "fr": f"Ce message continue l'échange {conversation.reference} avec le service : {said_in(name, 'fr')}.",
            "en": f"This message continues {conversation.reference} with the department: {said_in(name, 'en')}.",
        },
    )


def routing_of(
    contact: ContactReceived,
    decision: Decision,
    placing: Placing,
    *,
    conversation: ConversationId,
    reference: Reference,
    sequence: int,
    department: str,
    at: datetime,
) -> Routing:
    """The routing of a contact in its conversation."""
    clocks = placing.directory.clocks(decision.procedure)
    due = placing.calendar.due(contact.received_at, clocks)
    return swift.Routing(
        conversation_id=conversation,
        sequence=sequence,
        department=department,
        reference=reference,
        procedure=decision.procedure,
        rule=decision.rule,
        rules_version=decision.rules_version,
        model=decision.model,
        matched=decision.matched,
        confidence=decision.confidence,
        runners_up=decision.runners_up,
        reason=decision.reason,
        urgency=decision.urgency,
        tags=decision.tags,
        language=decision.language,
        received_at=contact.received_at,
        receipt_due_at=due.receipt_at,
        answer_due_at=due.answer_at,
        escalate_at=due.escalate_at,
        silence_at=due.silence_at,
        silence_means=clocks.silence_means if due.silence_at else None,
        decided_at=at,
    )
