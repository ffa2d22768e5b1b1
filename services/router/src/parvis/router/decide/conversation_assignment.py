"""Assigns contacts to locked conversations and numbers them, or lets them wait. No I/O; mutates only `known`."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.routing.decisions import Routing, make_conversation_id
from parvis.router.decide.assignment_context import AssignmentContext
from parvis.router.decide.build_routing import build_routing, step_of
from parvis.router.decide.clarification import (
    MOST_CHOICES,
    answer_deadline,
    ask_which_conversation,
    asks_for_new_conversation,
    parse_answer,
)
from parvis.router.decide.conversation_working_set import ConversationWorkingSet, WaitingContact, waiting_key
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
    find_by_quoted_reference,
    find_conversation,
    is_danger,
)
from parvis.router.decide.possible_danger import is_possible_danger
from parvis.router.decide.thanks import asks_nothing
from parvis.router.decide.thread_keys import ThreadKeys, thread_keys_of
from parvis.router.models.stored_rows import Conversation


@dataclass(frozen=True, slots=True)
class AssignedContact:
    """A contact assigned to a conversation, with its number. `opens`: whether it is the first one."""

    contact: ContactReceived
    routing: Routing
    opens: bool
    thread_keys: ThreadKeys = field(default_factory=ThreadKeys)


def assign_contact(
    contact: ContactReceived,
    decision: Decision,
    known: ConversationWorkingSet,
    context: AssignmentContext,
    *,
    at: datetime,
) -> list[AssignedContact | WaitingContact]:
    """Assign one contact to its conversation under the next number, or let it wait.

    Needs: the rows of `known` locked; contacts in the order of their records. Each is added to `known`.
    Gives: usually one AssignedContact. An answer to a question gives first the contacts that waited for it, in order, then
           itself. A WaitingContact if only the sender knows the conversation, or if contacts of the same sender wait.
    """
    return _Assigner(known, context, at).assign(contact, decision)


def assign_unanswered(
    queue: Sequence[WaitingContact], known: ConversationWorkingSet, context: AssignmentContext, *, at: datetime
) -> list[AssignedContact]:
    """Assign a queue whose question was not answered: its head to triage, with the candidates; the rest follows it."""
    return _Assigner(known, context, at).assign_unanswered(queue)


def assign_given_up(
    contact: ContactReceived, known: ConversationWorkingSet, context: AssignmentContext, *, at: datetime
) -> AssignedContact:
    """Assign a contact that failed too often to triage, in a conversation of its own, without applying rules."""
    return _Assigner(known, context, at).put(contact, decide_given_up(contact), ConversationMatch())


@dataclass(frozen=True)
class _Assigner:
    """The assignments of one transaction. `known` is its working memory: each contact sees the earlier ones."""

    known: ConversationWorkingSet
    context: AssignmentContext
    at: datetime

    def assign(self, contact: ContactReceived, decision: Decision) -> list[AssignedContact | WaitingContact]:
        key = waiting_key(contact)
        queue = self.known.waiting.get(key) if key else None
        if key and queue and not is_danger(decision) and not is_possible_danger(decision):
            meant = self._meant(contact, queue[0])
            if meant is not None:
                return [*self._assign_answered(self.known.take_queue(key), contact, decision, meant)]
            if not asks_for_new_conversation(contact.personal.text):
                waiting = WaitingContact(contact, decision, "queued")
                self.known.add_waiting(key, waiting)
                return [waiting]
        return [self._assign_first(contact, decision)]

    def assign_unanswered(self, queue: Sequence[WaitingContact]) -> list[AssignedContact]:
        head = queue[0]
        if key := waiting_key(head.contact):
            self.known.take_queue(key)
        conversations = self.known.conversations
        candidates = [conversations[id_] for id_ in head.candidates if id_ in conversations]
        decision = decide_unanswered(head, candidates)
        first = self.put(head.contact, decision, ConversationMatch(), candidates=candidates)
        return [first, *(self._put_behind(first, waiting.contact, waiting.decision) for waiting in queue[1:])]

    def put(
        self,
        contact: ContactReceived,
        decision: Decision,
        match: ConversationMatch,
        *,
        keys: ThreadKeys | None = None,
        candidates: Sequence[Conversation] = (),
    ) -> AssignedContact:
        """Give the contact the next number in the conversation that it continues or opens."""
        town_config, before = self.context.town_config, match.continues
        final = decision if before else decide_opening(decision, match, town_config)
        only_thanks = before is not None and not match.is_other_person and asks_nothing(contact, decision)
        conversation = _with_contact(
            before or _opened_by(contact, final, match), contact, reopens=contact.machine is None and not only_thanks
        )
        department = town_config.current_department(conversation.department)
        conversation = (
            conversation if conversation.department == department else replace(conversation, department=department)
        )
        keys = keys if keys is not None else thread_keys_of(contact, self.context.thread_key_secret)
        self.known.add_contact(contact, conversation, keys)
        suggestion = None
        if before and match.by:
            suggestion = suggest_split(contact, conversation, decision, town_config)
            final = decide_continuing(conversation, decision, match, town_config)
        routing = build_routing(
            contact, final, step_of(conversation), self.context,
            at=self.at, suggestion=suggestion, candidates=candidates, only_thanks=only_thanks,
        )  # fmt: skip
        return AssignedContact(contact, routing, opens=before is None, thread_keys=keys)

    def _assign_first(self, contact: ContactReceived, decision: Decision) -> AssignedContact | WaitingContact:
        """Assign a contact that queues behind no other; ask its sender if only they know the conversation."""
        keys = thread_keys_of(contact, self.context.thread_key_secret)
        match = find_conversation(contact, decision, keys, self.known, self.context.windows)
        key = waiting_key(contact)
        if match.candidates and key and not is_possible_danger(decision):
            waiting = self._ask(contact, decision, match.candidates[:MOST_CHOICES])
            self.known.add_question(key, waiting, self.at)
            return waiting
        return self.put(contact, decision, match, keys=keys)

    def _ask(self, contact: ContactReceived, decision: Decision, candidates: Sequence[Conversation]) -> WaitingContact:
        town_config, at = self.context.town_config, self.at
        question = ask_which_conversation(
            contact, candidates, town_config, self.context.templates, language=decision.language, at=at
        )
        due_at = answer_deadline(at, self.context.clarification, ZoneInfo(town_config.town.time_zone))
        ids = tuple(conversation.id for conversation in candidates)
        return WaitingContact(contact, decision, "question", due_at, ids, question)

    def _assign_answered(
        self,
        queue: Sequence[WaitingContact],
        answer: ContactReceived,
        decision: Decision,
        meant: Conversation | Literal["other"],
    ) -> list[AssignedContact]:
        """Assign the waiting contacts as the answer says, in order, then the answer itself."""
        contacts = [*((waiting.contact, waiting.decision) for waiting in queue), (answer, decision)]
        if not isinstance(meant, Conversation):
            first = self.put(*contacts[0], ConversationMatch())
            return [first, *(self._put_behind(first, *contact) for contact in contacts[1:])]
        conversations = self.known.conversations
        return [
            self.put(*contact, ConversationMatch(by="answer", continues=conversations[meant.id]))
            for contact in contacts
        ]

    def _put_behind(self, first: AssignedContact, contact: ContactReceived, decision: Decision) -> AssignedContact:
        conversation = self.known.conversations[UUID(first.routing.conversation_id)]
        return self.put(contact, decision, ConversationMatch(by="sender", continues=conversation))

    def _meant(self, contact: ContactReceived, head: WaitingContact) -> Conversation | Literal["other"] | None:
        """The conversation that an answer names; `other` for a new one; None if the contact is no answer."""
        if contact.machine or head.why != "question":
            return None
        named = find_by_quoted_reference(contact, self.known)
        if named:
            return named
        answer = parse_answer(contact.personal.text, len(head.candidates))
        if isinstance(answer, int):
            return self.known.conversations.get(head.candidates[answer - 1])
        return answer


def _with_contact(conversation: Conversation, contact: ContactReceived, *, reopens: bool) -> Conversation:
    """The conversation after one more contact. An out-of-office reply and mere thanks do not reopen it."""
    return replace(
        conversation,
        sequence=conversation.sequence + 1,
        closed_at=None if reopens else conversation.closed_at,
        last_contact_at=max(conversation.last_contact_at, contact.received_at),
    )


def _opened_by(contact: ContactReceived, decision: Decision, match: ConversationMatch) -> Conversation:
    return Conversation(
        id=UUID(make_conversation_id(contact.contact_id, contact.received_at)),
        reference=contact.reference,
        department=decision.department,
        sequence=0,
        procedure=decision.procedure,
        opened_at=contact.received_at,
        last_contact_at=contact.received_at,
        linked_to=match.follows.id if match.follows else None,
        is_new=True,
    )
