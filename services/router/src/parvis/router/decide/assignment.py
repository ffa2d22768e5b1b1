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
from parvis.router.decide.clarification import (
    MOST_CHOICES,
    ClarificationPolicy,
    answer_deadline,
    ask_which_conversation,
    asks_for_new_conversation,
    parse_answer,
)
from parvis.router.decide.deadlines import TownCalendar
from parvis.router.decide.department import Decision
from parvis.router.decide.final_decision import (
    decide_continuing,
    decide_given_up,
    decide_opening,
    decide_unanswered,
    suggest_split,
)
from parvis.router.decide.find_conversation import (
    ConversationMatch,
    ConversationWindows,
    KnownConversations,
    WaitingContact,
    find_by_quoted_reference,
    find_conversation,
    is_clear,
    waiting_key,
)
from parvis.router.decide.thread_keys import ThreadKeys, thread_keys_of
from parvis.router.models.stored_rows import Conversation


@dataclass(frozen=True, slots=True)
class AssignedContact:
    """A contact in its conversation, with its number. `opens` when it is the first."""

    contact: ContactReceived
    routing: Routing
    opens: bool
    thread_keys: ThreadKeys = field(default_factory=ThreadKeys)


@dataclass(frozen=True)
class AssignmentContext:
    """What placing needs beside the contacts: the same for every batch. `key` is that of the mails' marks."""

    town_config: TownConfig
    calendar: TownCalendar
    windows: ConversationWindows
    templates: TemplateSet
    thread_key_secret: bytes = field(repr=False)
    clarification: ClarificationPolicy = field(default_factory=ClarificationPolicy)


def place(
    contact: ContactReceived, decision: Decision, known: KnownConversations, placing: AssignmentContext, *, at: datetime
) -> list[AssignedContact | WaitingContact]:
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
        if not asks_for_new_conversation(contact.personal.text):
            queue.append(WaitingContact(contact, decision, "queued"))
            return [queue[-1]]
    return [_settle(contact, decision, known, placing, at)]


def place_unanswered(
    queue: Sequence[WaitingContact], known: KnownConversations, placing: AssignmentContext, *, at: datetime
) -> list[AssignedContact]:
    """Place what waits, its head first, although no answer came: to people, with the candidates; the rest goes on with it."""
    head = queue[0]
    if key := waiting_key(head.contact):
        known.waiting.pop(key, None)
    candidates = [known.conversations[id_] for id_ in head.candidates if id_ in known.conversations]
    decision = decide_unanswered(head, candidates)
    placed = [_put(head.contact, decision, ConversationMatch(), known, placing, at, candidates=candidates)]
    return placed + [_follow_head(held, placed[0], known, placing, at) for held in queue[1:]]


def place_given_up(
    contact: ContactReceived, known: KnownConversations, placing: AssignmentContext, *, at: datetime
) -> AssignedContact:
    """A contact that was tried in vain too often goes to people, in a conversation of its own and without asking any rule."""
    decision = decide_given_up(contact)
    return _put(contact, decision, ConversationMatch(), known, placing, at)


# What waits


def _answered(
    contact: ContactReceived,
    decision: Decision,
    key: tuple[str, str],
    meant: Conversation | Literal["other"],
    known: KnownConversations,
    placing: AssignmentContext,
    at: datetime,
) -> list[AssignedContact | WaitingContact]:
    """What waited goes where the answer says, in its order, then the answer itself."""
    queue = known.waiting.pop(key)
    waited = [(held.contact, held.decision) for held in queue]
    placed: list[AssignedContact | WaitingContact] = []
    where = ConversationMatch(by="answer", continues=meant) if isinstance(meant, Conversation) else ConversationMatch()
    for one, said in (*waited, (contact, decision)):
        put = _put(one, said, where, known, placing, at)
        placed.append(put)
        if where.continues is None:
            where = ConversationMatch(by="sender", continues=known.conversations[UUID(put.routing.conversation_id)])
    return placed


def _meant(
    contact: ContactReceived, head: WaitingContact, known: KnownConversations
) -> Conversation | Literal["other"] | None:
    """The conversation that an answer names; `other`; none where it is no answer."""
    if contact.machine or head.why != "question":
        return None
    named = find_by_quoted_reference(contact, known)
    if named:
        return named
    answer = parse_answer(contact.personal.text, len(head.candidates))
    if isinstance(answer, int):
        return known.conversations.get(head.candidates[answer - 1])
    return answer


def _follow_head(
    held: WaitingContact, first: AssignedContact, known: KnownConversations, placing: AssignmentContext, at: datetime
) -> AssignedContact:
    conversation = known.conversations[UUID(first.routing.conversation_id)]
    return _put(held.contact, held.decision, ConversationMatch(by="sender", continues=conversation), known, placing, at)


def _is_danger(decision: Decision) -> bool:
    return decision.urgency == "immediate" and is_clear(decision)


# What goes on


def _settle(
    contact: ContactReceived, decision: Decision, known: KnownConversations, placing: AssignmentContext, at: datetime
) -> AssignedContact | WaitingContact:
    marks = thread_keys_of(contact, placing.thread_key_secret)
    where = find_conversation(contact, decision, marks, known, placing.windows)
    key = waiting_key(contact)
    if where.candidates and key:
        held = _asked(contact, decision, where.candidates[:MOST_CHOICES], placing, at)
        known.waiting[key] = [held]
        known.asked_at[key] = at
        return held
    return _put(contact, decision, where, known, placing, at, marks=marks)


def _asked(
    contact: ContactReceived,
    decision: Decision,
    candidates: Sequence[Conversation],
    placing: AssignmentContext,
    at: datetime,
) -> WaitingContact:
    town_config = placing.town_config
    asked = ask_which_conversation(
        contact, candidates, town_config, placing.templates, language=decision.language, at=at
    )
    until = answer_deadline(at, placing.clarification, ZoneInfo(town_config.town.time_zone))
    return WaitingContact(contact, decision, "question", until, tuple(one.id for one in candidates), asked)


def _put(
    contact: ContactReceived,
    decision: Decision,
    where: ConversationMatch,
    known: KnownConversations,
    placing: AssignmentContext,
    at: datetime,
    *,
    marks: ThreadKeys | None = None,
    candidates: Sequence[Conversation] = (),
) -> AssignedContact:
    found = where.continues
    told = decision if found else decide_opening(decision, where, placing.town_config)
    conversation = found or _opened_by(contact, told, where)
    conversation.sequence += 1
    if contact.machine is None:  # an absence notice opens nothing again
        conversation.closed_at = None
    conversation.last_contact_at = max(conversation.last_contact_at, contact.received_at)
    conversation.department = placing.town_config.current_department(conversation.department)
    marks = marks if marks is not None else thread_keys_of(contact, placing.thread_key_secret)
    known.add_contact(contact, conversation, marks)
    suggestion = None
    if found and where.by:
        suggestion = suggest_split(contact, conversation, decision, placing.town_config)
        told = decide_continuing(conversation, decision, where.by, placing.town_config)
    routing = build_routing(
        contact, told, placing,
        conversation=ConversationId(str(conversation.id)), reference=conversation.reference,
        sequence=conversation.sequence, department=conversation.department, at=at,
        linked_to=conversation.linked_to, suggestion=suggestion, candidates=tuple(map(_candidate, candidates)),
    )  # fmt: skip
    return AssignedContact(contact, routing, opens=found is None, thread_keys=marks)


def _candidate(conversation: Conversation) -> Candidate:
    id_ = ConversationId(str(conversation.id))
    return fast_models.Candidate(
        conversation_id=id_, reference=conversation.reference, department=conversation.department
    )


def _opened_by(contact: ContactReceived, decision: Decision, where: ConversationMatch) -> Conversation:
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


def build_routing(  # noqa: PLR0913 (what a conversation says, and what the rules say)
    contact: ContactReceived,
    decision: Decision,
    placing: AssignmentContext,
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
    due = placing.calendar.compute_deadlines(contact.received_at, clocks)
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
