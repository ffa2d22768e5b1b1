"""Finds the conversation that a contact continues, or says that it opens one. Pure; no I/O."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from parvis.common.contract.channels import channel
from parvis.common.contract.contact import TRIAGE, ContactReceived
from parvis.common.contract.find_addressee import OTHER_REPLY_TO
from parvis.common.contract.references import find_references
from parvis.router.decide.clarification import asks_for_new_conversation
from parvis.router.decide.conversation_working_set import (
    ConversationWindows,
    ConversationWorkingSet,
    RecentActivity,
    parse_uuid,
    waiting_key,
)
from parvis.router.decide.department import WRITTEN_DOWN, Decision
from parvis.router.decide.possible_danger import is_sure_danger
from parvis.router.decide.thanks import asks_nothing
from parvis.router.decide.thread_keys import ThreadKeys, is_reply_subject
from parvis.router.models.stored_rows import Conversation

CLEAR = 0.6  # confidence from which words speak for a department: one term of a rule that no other rule contests
_UNCLEAR_RULES = frozenset({"default", "place", "model", "mailbox", "machine-sent"})

MatchedBy = Literal["staff", "token", "reference", "mail thread", "subject", "sender", "answer"]


@dataclass(frozen=True, slots=True)
class ConversationMatch:
    """The conversation that a contact belongs to.

    `continues`: the contact continues this conversation, matched `by`. Otherwise it opens one, which may follow a closed
    one (`follows`); or only the sender knows which of several is meant (`candidates`).
    `is_other_person`: the sender, who used our token, is none of the conversation's participants.
    """

    by: MatchedBy | None = None
    continues: Conversation | None = None
    follows: Conversation | None = None
    candidates: tuple[Conversation, ...] = ()
    is_other_person: bool = False


def find_conversation(
    contact: ContactReceived,
    decision: Decision,
    marks: ThreadKeys,
    known: ConversationWorkingSet,
    windows: ConversationWindows,
) -> ConversationMatch:
    """The conversation that the contact continues, or why it opens one.

    Order: the conversation that an agent names who wrote the contact down; our signed token; a quoted reference or an answered mail, if the sender participates in that conversation; the same
           sender within the channel's window (for mails, a reply with the same subject). The first match decides.
    Danger: a clear rule for an immediate danger, or a model that is sure, beats the weak ties, which are the sender and the subject.
    Thanks: a contact that says nothing else continues the sender's latest conversation, on whatever channel, and closed ones too.
    Closed: a contact that names it within the grace period reopens it; otherwise a new one follows it, or its open follower goes on.
    Trust: our token proves that its holder read our message, not who they are: another person joins and is marked so. An address
           that fails DMARC identifies nobody; the From of a mail with another Reply-To may be a website's, and names nobody. A reference alone proves nothing: anybody may have seen it.
    """
    for by, conversation in _named_conversations(contact, marks, known):
        match = _match_named(by, conversation, contact.received_at, known, windows)
        if not _is_other_person(contact, conversation, match, marks, known):
            return match
        # A stranger's conversation must not follow the closed one: its citizen's next message would go there.
        return replace(match, is_other_person=True) if match.continues else ConversationMatch()
    if not _is_credible(contact):
        return ConversationMatch()
    if asks_nothing(contact, decision) and (thanked := _latest(contact, known, windows)):
        return ConversationMatch(by="sender", continues=thanked)
    if channel(contact.channel).has_thread_headers:
        return _by_subject(contact, decision, marks, known, windows)
    return _by_sender(contact, decision, known, windows)


def is_danger(decision: Decision) -> bool:
    """Whether the rules clearly see an immediate danger, or the model is sure: no question and no weak tie may keep it from its department."""
    return is_sure_danger(decision) or (decision.urgency == "immediate" and is_clear(decision))


def is_clear(decision: Decision) -> bool:
    """Whether the rules clearly name a department, by this contact alone."""
    by_words = decision.rule not in _UNCLEAR_RULES and decision.department != TRIAGE
    return by_words and decision.confidence >= CLEAR


def quoted_reference(contact: ContactReceived) -> str | None:
    """The reference that a contact quotes; None if it is malformed."""
    references = find_references(contact.thread.reference or "")
    return references[0] if references else None


def find_by_quoted_reference(contact: ContactReceived, known: ConversationWorkingSet) -> Conversation | None:
    """The conversation whose reference is quoted; None unless the sender participates in it, or an agent wrote it down."""
    quoted = quoted_reference(contact)
    if quoted and is_by_staff(contact):
        return known.conversations.get(known.by_reference[quoted]) if quoted in known.by_reference else None
    if OTHER_REPLY_TO in contact.remarks:  # everybody who fills in a website's form shares its From
        return None
    return _if_sender_participates(contact, known.by_reference.get(quoted) if quoted else None, known)


def is_by_staff(contact: ContactReceived) -> bool:
    """Whether an agent wrote the contact down; no citizen's door can say so."""
    return contact.sender.level == "staff"


def _named_conversations(
    contact: ContactReceived, marks: ThreadKeys, known: ConversationWorkingSet
) -> Iterator[tuple[MatchedBy, Conversation]]:
    token, quoted = parse_uuid(contact.thread.conversation_id), find_by_quoted_reference(contact, known)
    if quoted and is_by_staff(contact):  # on a case's own page the agent may have typed another reference
        yield "staff", quoted
    if token and token in known.conversations:
        yield "staff" if is_by_staff(contact) else "token", known.conversations[token]
    if quoted:
        yield "reference", quoted
    for mark in marks.answered_ids:
        for bearing in reversed(known.by_thread_key.get(mark, ())):
            answered = _if_sender_participates(contact, bearing, known)
            if answered:
                yield "mail thread", answered


def _if_sender_participates(
    contact: ContactReceived, id_: UUID | None, known: ConversationWorkingSet
) -> Conversation | None:
    sender = contact.contact_point_hash
    if id_ is None or sender is None or not _is_credible(contact) or (id_, sender) not in known.senders:
        return None
    return known.conversations.get(id_)


def _is_credible(contact: ContactReceived) -> bool:
    return contact.contact_point_hash is not None and contact.sender.dmarc != "fail"


def _is_other_person(
    contact: ContactReceived,
    named: Conversation,
    match: ConversationMatch,
    marks: ThreadKeys,
    known: ConversationWorkingSet,
) -> bool:
    sender = contact.contact_point_hash
    if match.by != "token" or sender is None:
        return False
    joined = match.continues or match.follows or named
    is_recipient = marks.claimed is not None and named.id in known.by_thread_key.get(marks.claimed, ())
    return not is_recipient and {(named.id, sender), (joined.id, sender)}.isdisjoint(known.senders)


def _match_named(
    by: MatchedBy, named: Conversation, at: datetime, known: ConversationWorkingSet, windows: ConversationWindows
) -> ConversationMatch:
    if _can_continue(named, at, windows.closed_grace):
        return ConversationMatch(by=by, continues=named)
    follower = known.conversations.get(known.followers.get(named.id, named.id), named)
    if _can_continue(follower, at, windows.closed_grace):
        return ConversationMatch(by=by, continues=follower)
    return ConversationMatch(by=by, follows=follower)


def _by_subject(
    contact: ContactReceived,
    decision: Decision,
    marks: ThreadKeys,
    known: ConversationWorkingSet,
    windows: ConversationWindows,
) -> ConversationMatch:
    """A sender and a subject name no matter: « Signalement » may be another one. Only a reply to it says that it goes on."""
    if OTHER_REPLY_TO in contact.remarks or not is_reply_subject(contact.personal.subject):
        return ConversationMatch()
    window = windows.window_of(contact.channel)
    bearing = known.by_thread_key.get(marks.subject, ()) if marks.subject and window else ()
    for id_ in reversed(bearing):
        conversation = known.conversations.get(id_)
        if conversation and is_danger(decision) and decision.department != conversation.department:
            continue
        if conversation and contact.received_at - conversation.last_contact_at <= window:
            if conversation.closed_at is None:
                return ConversationMatch(by="subject", continues=conversation)
            return ConversationMatch(by="subject", follows=conversation)
    return ConversationMatch()


def _latest(
    contact: ContactReceived, known: ConversationWorkingSet, windows: ConversationWindows
) -> Conversation | None:
    """The sender's conversation in which something happened last: the one that they thank for."""
    if OTHER_REPLY_TO in contact.remarks:
        return None
    recent = known.recent.get(contact.contact_point_hash or "", {})
    near = [
        (activity.active_at, str(id_), conversation)
        for id_, activity in recent.items()
        if contact.received_at - activity.active_at <= windows.thanks and (conversation := known.conversations.get(id_))
    ]
    return max(near)[2] if near else None


def _by_sender(
    contact: ContactReceived, decision: Decision, known: ConversationWorkingSet, windows: ConversationWindows
) -> ConversationMatch:
    window, sender = windows.window_of(contact.channel), contact.contact_point_hash
    if not window or not sender or asks_for_new_conversation(contact.personal.text):
        return ConversationMatch()
    near = sorted(
        (
            (recent.active_at, str(id_), conversation, recent.channels)
            for id_, recent in known.recent.get(sender, {}).items()
            if (conversation := known.conversations.get(id_))
            and contact.received_at - recent.active_at <= window
            and _wrote_outside_threads(recent)
        ),
        reverse=True,
    )
    still_open = [(match, channels) for _, _, match, channels in near if match.closed_at is None]
    if is_danger(decision):
        # An urgent danger is not delayed by a question, and continues only a conversation of the department that the rules name.
        still_open = [entry for entry in still_open if entry[0].department == decision.department][:1]
    if len(still_open) == 1:
        return _match_only_open(still_open[0][0], contact.channel in still_open[0][1], decision)
    if still_open:
        return _ask_or_continue_latest([conversation for conversation, _ in still_open], contact, known, window)
    return ConversationMatch(by="sender", follows=near[0][2]) if near and near[0][2].closed_at else ConversationMatch()


def _wrote_outside_threads(recent: RecentActivity) -> bool:
    """Mails belong to their threads: they do not count for the window of another channel."""
    return any(not channel(name).has_thread_headers for name in recent.channels)


def _match_only_open(conversation: Conversation, is_same_channel: bool, decision: Decision) -> ConversationMatch:
    # A conversation on another channel is a weaker match: a clear rule for another department overrides it.
    if (
        (not is_same_channel or decision.rule == WRITTEN_DOWN)
        and is_clear(decision)
        and decision.department != conversation.department
    ):
        return ConversationMatch()
    return ConversationMatch(by="sender", continues=conversation)


def _ask_or_continue_latest(
    matches: list[Conversation], contact: ContactReceived, known: ConversationWorkingSet, window: timedelta
) -> ConversationMatch:
    """Ask at most once per window; otherwise continue the sender's latest conversation."""
    key = waiting_key(contact)
    asked_at = known.asked_at.get(key) if key else None
    was_asked = asked_at is not None and contact.received_at - asked_at <= window
    may_ask = channel(contact.channel).asks_which_conversation and not contact.machine and contact.personal.from_
    if was_asked or not may_ask:
        return ConversationMatch(by="sender", continues=matches[0])
    return ConversationMatch(by="sender", candidates=tuple(matches))


def _can_continue(conversation: Conversation, at: datetime, grace: timedelta) -> bool:
    """Whether it is open, or was closed so recently that a contact reopens it."""
    return conversation.closed_at is None or at - conversation.closed_at < grace
