"""Holds the conversations that a batch may change: the working memory of one transaction. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from parvis.common.contract.channels import channel, channels
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.reply import ReplyRequested
from parvis.router.decide.department import Decision
from parvis.router.decide.thread_keys import ThreadKeys
from parvis.router.models.stored_rows import Conversation

WaitReason = Literal["question", "trouble", "queued"]


@dataclass(frozen=True)
class ConversationWindows:
    """How long a new message of the same sender continues a conversation.

    `same_sender` overrides the windows in the channel table. `thanks`: so long a contact that says nothing but thanks does, on
    whatever channel.
    """

    same_sender: Mapping[str, timedelta] = field(default_factory=dict[str, timedelta])
    closed_grace: timedelta = timedelta(days=30)
    thanks: timedelta = timedelta(days=14)

    @property
    def sender_channels(self) -> tuple[str, ...]:
        """The channels on which the sender alone identifies a conversation: those with a window and without mail threads."""
        rows = (row for row in channels() if not row.has_thread_headers)
        return tuple(sorted(row.name for row in rows if self.window_of(row.name)))

    def window_of(self, name: str) -> timedelta:
        override = self.same_sender.get(name)
        return channel(name).conversation_window if override is None else override


@dataclass(slots=True)
class RecentActivity:
    """The channels on which a sender wrote in a conversation, and the time of its last activity."""

    active_at: datetime
    channels: set[str]


@dataclass(slots=True)
class WaitingContact:
    """A contact that waits for the answer to a question, for a retry, or behind another contact of its sender."""

    contact: ContactReceived
    decision: Decision
    why: WaitReason
    due_at: datetime | None = None
    candidates: tuple[UUID, ...] = ()
    question: ReplyRequested | None = None


@dataclass
class ConversationWorkingSet:
    """The conversations that a batch may change; its contacts are added as they are assigned."""

    conversations: dict[UUID, Conversation] = field(default_factory=dict[UUID, Conversation])
    by_reference: dict[str, UUID] = field(default_factory=dict[str, UUID])
    # A mail's thread key → the conversations that have it, the newest last.
    by_thread_key: dict[bytes, list[UUID]] = field(default_factory=dict[bytes, list[UUID]])
    # A closed conversation → the newest one that follows it.
    followers: dict[UUID, UUID] = field(default_factory=dict[UUID, UUID])
    # Sender's hash → their recent conversations.
    recent: dict[str, dict[UUID, RecentActivity]] = field(default_factory=dict[str, dict[UUID, RecentActivity]])
    senders: set[tuple[UUID, str]] = field(default_factory=set[tuple[UUID, str]])
    # Sender's hash and channel → when they were last asked a question, and their waiting contacts.
    asked_at: dict[tuple[str, str], datetime] = field(default_factory=dict[tuple[str, str], datetime])
    waiting: dict[tuple[str, str], list[WaitingContact]] = field(
        default_factory=dict[tuple[str, str], list[WaitingContact]]
    )

    def add_contact(self, contact: ContactReceived, conversation: Conversation, keys: ThreadKeys | None = None) -> None:
        """Record the conversation's new state, for the later contacts of the batch."""
        self.conversations[conversation.id] = conversation
        self.by_reference.setdefault(contact.reference, conversation.id)
        for key in keys.stored if keys else ():
            self.add_thread_key(key, conversation.id)
        if contact.contact_point_hash:
            self.senders.add((conversation.id, contact.contact_point_hash))
            self.add_activity(contact.contact_point_hash, contact.channel, conversation.id, contact.received_at)

    def add_thread_key(self, key: bytes, conversation: UUID) -> None:
        bearing = self.by_thread_key.setdefault(key, [])
        if conversation in bearing:
            bearing.remove(conversation)
        bearing.append(conversation)

    def add_activity(self, sender: str, channel_name: str, conversation: UUID, at: datetime) -> None:
        activities = self.recent.setdefault(sender, {})
        activity = activities.setdefault(conversation, RecentActivity(at, set()))
        activity.active_at = max(activity.active_at, at)
        activity.channels.add(channel_name)

    def add_waiting(self, key: tuple[str, str], waiting: WaitingContact) -> None:
        self.waiting.setdefault(key, []).append(waiting)

    def add_question(self, key: tuple[str, str], waiting: WaitingContact, at: datetime) -> None:
        """Record that the sender is asked now; their later contacts queue behind this one."""
        self.waiting[key] = [waiting]
        self.asked_at[key] = at

    def take_queue(self, key: tuple[str, str]) -> list[WaitingContact]:
        """Remove and return the contacts that wait under this key."""
        return self.waiting.pop(key, [])


def waiting_key(contact: ContactReceived) -> tuple[str, str] | None:
    """The key of a contact's queue: its sender and channel; None for an anonymous contact.

    Channels that share a window share a queue: a question on one may be answered on the other.
    """
    sender = contact.contact_point_hash
    return (sender, channel(contact.channel).window_shared_with or contact.channel) if sender else None


def parse_uuid(text: str | None) -> UUID | None:
    """Parse a UUID; None unless the text is in canonical form."""
    try:
        return UUID(text) if text and len(text) == 36 else None
    except ValueError:
        return None
