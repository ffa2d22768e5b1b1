"""Contacts with their decisions and the locked conversations in, numbered routings out, or what has to wait. Pure; no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from parvis.common.contract.contact import ContactReceived, ConversationId, Reference
from parvis.common.contract.routing.decisions import Candidate, Routing, Suggestion, make_conversation_id
from parvis.common.town.models import TownConfig
from parvis.common.town.templates import TemplateSet
from parvis.router.decide import fast_models
from parvis.router.decide.clarification import MOST_CHOICES, Asking, asks_for_new, due_at, question, read_answer
from parvis.router.decide.deadlines import Calendar
from parvis.router.decide.department import Decision
from parvis.router.decide.final_decision import continues, drift, given_up, nobody_knows, opens
from parvis.router.decide.find_conversation import (
    Held,
    Known,
    Place,
    Windows,
    by_reference,
    find,
    is_clear,
    waiting_key,
)
from parvis.router.decide.thread_keys import Marks, marks_of
from parvis.router.models.stored_rows import Conversation


@dataclass(frozen=True, slots=True)
class Placed:
    """A contact in its conversation, with its number. `opens` when it is the first."""

    contact: ContactReceived
    routing: Routing
    opens: bool
    marks: Marks = field(default_factory=Marks)


@dataclass(frozen=True)
class Placing:
    """What placing needs beside the contacts: the same for every batch. `key` is that of the mails' marks."""

    town_config: TownConfig
    calendar: Calendar
    windows: Windows
    templates: TemplateSet
    key: bytes = field(repr=False)
    asking: Asking = field(default_factory=Asking)


def place(
    contact: ContactReceived, decision: Decision, known: Known, placing: Placing, *, at: datetime
) -> list[Placed | Held]:
    """Put one contact into its conversation and give it the next number; or say that it waits.

    Needs: the rows of `known` locked; they are changed here, and contacts come in the order of their records.
    Gives: nearly always one Placed. An answer to a question brings what waited for it first, in its order, then itself.
           Held, when only the sender knows the conversation, and behind what waits of the same sender on that channel.
    """
    key = waiting_key(contact)
    queue = known.waiting.get(key) if key else None
    if key and queue and not _is_danger(decision):
        meant = _meant(contact, queue[0], known)
        if meant is not None:
            return _answered(contact, decision, key, meant, known, placing, at)
        if not asks_for_new(contact.personal.text):
            queue.append(Held(contact, decision, "queued"))
            return [queue[-1]]
    return [_settle(contact, decision, known, placing, at)]


def place_unanswered(queue: Sequence[Held], known: Known, placing: Placing, *, at: datetime) -> list[Placed]:
    """Place what waits, its head first, although no answer came: to people, with the candidates; the rest goes on with it."""
    head = queue[0]
    if key := waiting_key(head.contact):
        known.waiting.pop(key, None)
    candidates = [known.conversations[id_] for id_ in head.candidates if id_ in known.conversations]
    decision = nobody_knows(head, candidates)
    placed = [_put(head.contact, decision, Place(), known, placing, at, candidates=candidates)]
    return placed + [_follow_head(held, placed[0], known, placing, at) for held in queue[1:]]


def place_given_up(contact: ContactReceived, known: Known, placing: Placing, *, at: datetime) -> Placed:
    """A contact that was tried in vain too often goes to people, in a conversation of its own and without asking any rule."""
    decision = given_up(contact)
    return _put(contact, decision, Place(), known, placing, at)


# What waits


def _answered(
    contact: ContactReceived,
    decision: Decision,
    key: tuple[str, str],
    meant: Conversation | Literal["other"],
    known: Known,
    placing: Placing,
    at: datetime,
) -> list[Placed | Held]:
    """What waited goes where the answer says, in its order, then the answer itself."""
    queue = known.waiting.pop(key)
    waited = [(held.contact, held.decision) for held in queue]
    placed: list[Placed | Held] = []
    where = Place(by="answer", continues=meant) if isinstance(meant, Conversation) else Place()
    for one, said in (*waited, (contact, decision)):
        put = _put(one, said, where, known, placing, at)
        placed.append(put)
        if where.continues is None:
            where = Place(by="sender", continues=known.conversations[UUID(put.routing.conversation_id)])
    return placed


def _meant(contact: ContactReceived, head: Held, known: Known) -> Conversation | Literal["other"] | None:
    """The conversation that an answer names; `other`; none where it is no answer."""
    if contact.machine or head.why != "question":
        return None
    named = by_reference(contact, known)
    if named:
        return named
    answer = read_answer(contact.personal.text, len(head.candidates))
    if isinstance(answer, int):
        return known.conversations.get(head.candidates[answer - 1])
    return answer


def _follow_head(held: Held, first: Placed, known: Known, placing: Placing, at: datetime) -> Placed:
    conversation = known.conversations[UUID(first.routing.conversation_id)]
    return _put(held.contact, held.decision, Place(by="sender", continues=conversation), known, placing, at)


def _is_danger(decision: Decision) -> bool:
    return decision.urgency == "immediate" and is_clear(decision)


# What goes on


def _settle(
    contact: ContactReceived, decision: Decision, known: Known, placing: Placing, at: datetime
) -> Placed | Held:
    marks = marks_of(contact, placing.key)
    where = find(contact, decision, marks, known, placing.windows)
    key = waiting_key(contact)
    if where.candidates and key:
        held = _asked(contact, decision, where.candidates[:MOST_CHOICES], placing, at)
        known.waiting[key] = [held]
        known.asked[key] = at
        return held
    return _put(contact, decision, where, known, placing, at, marks=marks)


def _asked(
    contact: ContactReceived,
    decision: Decision,
    candidates: Sequence[Conversation],
    placing: Placing,
    at: datetime,
) -> Held:
    town_config = placing.town_config
    asked = question(contact, candidates, town_config, placing.templates, language=decision.language, at=at)
    until = due_at(at, placing.asking, ZoneInfo(town_config.town.time_zone))
    return Held(contact, decision, "question", until, tuple(one.id for one in candidates), asked)


def _put(
    contact: ContactReceived,
    decision: Decision,
    where: Place,
    known: Known,
    placing: Placing,
    at: datetime,
    *,
    marks: Marks | None = None,
    candidates: Sequence[Conversation] = (),
) -> Placed:
    found = where.continues
    told = decision if found else opens(decision, where, placing.town_config)
    conversation = found or _opened_by(contact, told, where)
    conversation.sequence += 1
    if contact.machine is None:  # an absence notice opens nothing again
        conversation.closed_at = None
    conversation.last_contact_at = max(conversation.last_contact_at, contact.received_at)
    conversation.department = placing.town_config.current_department(conversation.department)
    marks = marks if marks is not None else marks_of(contact, placing.key)
    known.note(contact, conversation, marks)
    suggestion = None
    if found and where.by:
        suggestion = drift(contact, conversation, decision, placing.town_config)
        told = continues(conversation, decision, where.by, placing.town_config)
    routing = routing_of(
        contact, told, placing,
        conversation=ConversationId(str(conversation.id)), reference=conversation.reference,
        sequence=conversation.sequence, department=conversation.department, at=at,
        linked_to=conversation.linked_to, suggestion=suggestion, candidates=tuple(map(_candidate, candidates)),
    )  # fmt: skip
    return Placed(contact, routing, opens=found is None, marks=marks)


def _candidate(conversation: Conversation) -> Candidate:
    id_ = ConversationId(str(conversation.id))
    return fast_models.Candidate(
        conversation_id=id_, reference=conversation.reference, department=conversation.department
    )


def _opened_by(contact: ContactReceived, decision: Decision, where: Place) -> Conversation:
    return Conversation(
        id=UUID(make_conversation_id(contact.contact_id, contact.received_at)),
        reference=contact.reference,
        department=decision.department,
        sequence=0,
        procedure=decision.procedure,
        opened_at=contact.received_at,
        last_contact_at=contact.received_at,
        linked_to=where.follows.id if where.follows else None,
        is_new=True,
    )


def routing_of(  # noqa: PLR0913 (what a conversation says, and what the rules say)
    contact: ContactReceived,
    decision: Decision,
    placing: Placing,
    *,
    conversation: ConversationId,
    reference: Reference,
    sequence: int,
    department: str,
    at: datetime,
    linked_to: UUID | None = None,
    suggestion: Suggestion | None = None,
    candidates: tuple[Candidate, ...] = (),
) -> Routing:
    """The routing of a contact in its conversation."""
    clocks = placing.town_config.legal_deadlines(decision.procedure)
    due = placing.calendar.due(contact.received_at, clocks)
    return fast_models.Routing(
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
        suggestion=suggestion,
        linked_to=ConversationId(str(linked_to)) if linked_to else None,
        candidates=candidates,
        language=decision.language,
        received_at=contact.received_at,
        receipt_due_at=due.receipt_at,
        answer_due_at=due.answer_at,
        escalate_at=due.escalate_at,
        silence_at=due.silence_at,
        silence_means=clocks.silence_means if due.silence_at else None,
        decided_at=at,
    )
