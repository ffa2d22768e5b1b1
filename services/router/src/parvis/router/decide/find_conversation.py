"""A contact and the conversations it may belong to in, the one it belongs to out. Pure; no I/O."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal
from uuid import UUID

from parvis.common.contract.contact import TRIAGE, ContactReceived
from parvis.common.contract.references import find_references
from parvis.common.contract.reply import ReplyRequested
from parvis.router.decide.clarification import asks_for_new_conversation
from parvis.router.decide.department import Decision
from parvis.router.decide.thread_keys import ThreadKeys
from parvis.router.models.stored_rows import DAYS, Conversation

# Who writes there answers a question at once, with a word; and there is no thread to tell conversations apart.
ASKED = frozenset({"sms", "whatsapp"})
CLEAR = 0.6  # confidence from which words speak for a department: one term of a rule that no other rule contests
_ADDRESSED = frozenset({"email"})  # a mail belongs to its own thread, and to no other channel's window
_UNCLEAR_RULES = frozenset({"default", "place", "model", "mailbox", "machine-sent"})

WaitReason = Literal["question", "trouble", "queued"]
MatchedBy = Literal["token", "reference", "mail thread", "subject", "sender", "answer"]


@dataclass(frozen=True)
class ConversationWindows:
    """How long things hold together: by channel, and after a conversation was closed."""

    same_sender: Mapping[str, timedelta] = field(
        default_factory=lambda: {channel: timedelta(days=days) for channel, days in DAYS.items()}
    )
    closed_grace: timedelta = timedelta(days=30)

    @cached_property
    def sender_channels(self) -> tuple[str, ...]:
        """The channels on which the same sender is enough."""
        return tuple(sorted(one for one, days in self.same_sender.items() if days and one not in _ADDRESSED))

    def window_of(self, channel: str) -> timedelta:
        return self.same_sender.get(channel, timedelta(0))


@dataclass(slots=True)
class RecentActivity:
    """Where a contact point wrote, on which channels, and when something last happened there."""

    active_at: datetime
    channels: set[str]


@dataclass(slots=True)
class WaitingContact:
    """A contact that waits: for the answer to a question to its sender, for its own trouble to pass, or behind such a one."""

    contact: ContactReceived
    decision: Decision
    why: WaitReason
    due_at: datetime | None = None
    candidates: tuple[UUID, ...] = ()
    question: ReplyRequested | None = None


@dataclass
class KnownConversations:
    """The conversations that a batch may touch; contacts of the batch itself are added as they are placed."""

    conversations: dict[UUID, Conversation] = field(default_factory=dict[UUID, Conversation])
    by_reference: dict[str, UUID] = field(default_factory=dict[str, UUID])
    # A mail's mark → the conversations that bear it, the newest last.
    by_thread_key: dict[bytes, list[UUID]] = field(default_factory=dict[bytes, list[UUID]])
    # A closed conversation → the newest one that follows it.
    followers: dict[UUID, UUID] = field(default_factory=dict[UUID, UUID])
    # Sender's hash → where they wrote.
    recent: dict[str, dict[UUID, RecentActivity]] = field(default_factory=dict[str, dict[UUID, RecentActivity]])
    senders: set[tuple[UUID, str]] = field(default_factory=set[tuple[UUID, str]])
    # Sender's hash and channel → when they were asked which conversation they mean; and what waits of them.
    asked_at: dict[tuple[str, str], datetime] = field(default_factory=dict[tuple[str, str], datetime])
    waiting: dict[tuple[str, str], list[WaitingContact]] = field(
        default_factory=dict[tuple[str, str], list[WaitingContact]]
    )

    def add_contact(
        self, contact: ContactReceived, conversation: Conversation, marks: ThreadKeys | None = None
    ) -> None:
        """Remember that the contact belongs there, for the later ones of the batch."""
        self.conversations.setdefault(conversation.id, conversation)
        self.by_reference.setdefault(contact.reference, conversation.id)
        for mark in marks.stored if marks else ():
            self.add_thread_key(mark, conversation.id)
        if contact.contact_point_hash:
            self.senders.add((conversation.id, contact.contact_point_hash))
            self.add_activity(contact.contact_point_hash, contact.channel, conversation.id, contact.received_at)

    def add_thread_key(self, mark: bytes, conversation: UUID) -> None:
        bearing = self.by_thread_key.setdefault(mark, [])
        if conversation in bearing:
            bearing.remove(conversation)
        bearing.append(conversation)

    def add_activity(self, sender: str, channel: str, conversation: UUID, at: datetime) -> None:
        places = self.recent.setdefault(sender, {})
        place = places.setdefault(conversation, RecentActivity(at, set()))
        place.active_at = max(place.active_at, at)
        place.channels.add(channel)


@dataclass(frozen=True, slots=True)
class ConversationMatch:
    """Where a contact belongs.

    `continues`: that conversation, told `by`. Else it opens one, which `follows` a closed one; or, where there are
    `candidates`, nobody but the sender knows.
    """

    by: MatchedBy | None = None
    continues: Conversation | None = None
    follows: Conversation | None = None
    candidates: tuple[Conversation, ...] = ()


def find_conversation(
    contact: ContactReceived,
    decision: Decision,
    marks: ThreadKeys,
    known: KnownConversations,
    windows: ConversationWindows,
) -> ConversationMatch:
    """The conversation that the contact continues, or why it opens one.

    Order: our signed token; a quoted reference, then a mail that is answered, of somebody who takes part there; the same sender
           within the window of the channel, for mails with the same subject. The first that names a conversation decides.
    Closed: within the grace it goes on, for what names it; after it, and for a mere sender, a new one follows it, or what already does.
    Doubt: an address that fails DMARC proves nobody. A reference alone proves nothing: it may be read over a shoulder.
    """
    for by, conversation in _named(contact, marks, known):
        return _named_place(by, conversation, contact.received_at, known, windows)
    if not _is_credible(contact):
        return ConversationMatch()
    if contact.channel == "email":
        return _by_subject(contact, marks, known, windows)
    return _by_sender(contact, decision, known, windows)


def is_clear(decision: Decision) -> bool:
    """Whether rules clearly speak for a department, by what the sender says now."""
    by_words = decision.rule not in _UNCLEAR_RULES and decision.department != TRIAGE
    return by_words and decision.confidence >= CLEAR


def waiting_key(contact: ContactReceived) -> tuple[str, str] | None:
    """What waits behind each other: the contacts of one sender on one channel.

    SMS and WhatsApp are one: a question over the one may be answered over the other.
    """
    sender = contact.contact_point_hash
    return (sender, "sms" if contact.channel in ASKED else contact.channel) if sender else None


def parse_uuid(text: str | None) -> UUID | None:
    """The id in a text; none when it is not one in its usual form."""
    try:
        return UUID(text) if text and len(text) == 36 else None
    except ValueError:
        return None


def quoted_reference(contact: ContactReceived) -> str | None:
    """The reference that a contact quotes; none when it is no reference at all."""
    found = find_references(contact.thread.reference or "")
    return found[0] if found else None


def find_by_quoted_reference(contact: ContactReceived, known: KnownConversations) -> Conversation | None:
    """The conversation whose reference is quoted by somebody who takes part there."""
    quoted = quoted_reference(contact)
    return _where_sender_writes(contact, known.by_reference.get(quoted) if quoted else None, known)


def _named(
    contact: ContactReceived, marks: ThreadKeys, known: KnownConversations
) -> Iterator[tuple[MatchedBy, Conversation]]:
    token = parse_uuid(contact.thread.conversation_id)
    if token and token in known.conversations:
        yield "token", known.conversations[token]
    quoted = find_by_quoted_reference(contact, known)
    if quoted:
        yield "reference", quoted
    for mark in marks.answered_ids:
        for bearing in reversed(known.by_thread_key.get(mark, ())):
            answered = _where_sender_writes(contact, bearing, known)
            if answered:
                yield "mail thread", answered


def _where_sender_writes(contact: ContactReceived, id_: UUID | None, known: KnownConversations) -> Conversation | None:
    sender = contact.contact_point_hash
    if id_ is None or sender is None or not _is_credible(contact) or (id_, sender) not in known.senders:
        return None
    return known.conversations.get(id_)


def _is_credible(contact: ContactReceived) -> bool:
    return contact.contact_point_hash is not None and contact.sender.dmarc != "fail"


def _named_place(
    by: MatchedBy, named: Conversation, at: datetime, known: KnownConversations, windows: ConversationWindows
) -> ConversationMatch:
    if _takes(named, at, windows.closed_grace):
        return ConversationMatch(by=by, continues=named)
    follower = known.conversations.get(known.followers.get(named.id, named.id), named)
    if _takes(follower, at, windows.closed_grace):
        return ConversationMatch(by=by, continues=follower)
    return ConversationMatch(by=by, follows=follower)


def _by_subject(
    contact: ContactReceived, marks: ThreadKeys, known: KnownConversations, windows: ConversationWindows
) -> ConversationMatch:
    window = windows.window_of("email")
    bearing = known.by_thread_key.get(marks.subject, ()) if marks.subject and window else ()
    for id_ in reversed(bearing):
        conversation = known.conversations.get(id_)
        if conversation and contact.received_at - conversation.last_contact_at <= window:
            if conversation.closed_at is None:
                return ConversationMatch(by="subject", continues=conversation)
            return ConversationMatch(by="subject", follows=conversation)
    return ConversationMatch()


def _by_sender(
    contact: ContactReceived, decision: Decision, known: KnownConversations, windows: ConversationWindows
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
            and recent.channels - _ADDRESSED
        ),
        reverse=True,
    )
    still_open = [(one, channels) for _, _, one, channels in near if one.closed_at is None]
    if decision.urgency == "immediate" and is_clear(decision):
        # Danger waits for no question, and goes to no other department than the one that the rules name.
        still_open = [(one, channels) for one, channels in still_open if one.department == decision.department][:1]
    if len(still_open) == 1:
        return _only(still_open[0][0], contact.channel in still_open[0][1], decision)
    if still_open:
        return _one_of([one for one, _ in still_open], contact, known, window)
    return ConversationMatch(by="sender", follows=near[0][2]) if near and near[0][2].closed_at else ConversationMatch()


def _only(conversation: Conversation, is_same_channel: bool, decision: Decision) -> ConversationMatch:
    # What was told on another channel is a weaker tie: words that speak for another department break it.
    if not is_same_channel and is_clear(decision) and decision.department != conversation.department:
        return ConversationMatch()
    return ConversationMatch(by="sender", continues=conversation)


def _one_of(
    found: list[Conversation], contact: ContactReceived, known: KnownConversations, window: timedelta
) -> ConversationMatch:
    """Asked once a window; who was asked goes on with what they last wrote in."""
    key = waiting_key(contact)
    asked_at = known.asked_at.get(key) if key else None
    was_asked = asked_at is not None and contact.received_at - asked_at <= window
    if was_asked or contact.machine or contact.channel not in ASKED or contact.personal.from_ is None:
        return ConversationMatch(by="sender", continues=found[0])
    return ConversationMatch(by="sender", candidates=tuple(found))


def _takes(conversation: Conversation, at: datetime, grace: timedelta) -> bool:
    """Whether it is open, or closed so recently that the contact opens it again."""
    return conversation.closed_at is None or at - conversation.closed_at < grace
