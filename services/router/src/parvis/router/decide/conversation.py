"""A contact and the conversations it may belong to in, the one it belongs to out. Pure; no I/O."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from parvis.common.contact import ContactReceived, references_in
from parvis.router.tables import Conversation

# Channels without threads of their own: what the same sender writes soon after belongs to what they wrote before.
THREADLESS = frozenset({"sms", "whatsapp"})


@dataclass(frozen=True)
class Windows:
    """How long things hold together."""

    same_sender: timedelta = timedelta(days=7)
    closed_grace: timedelta = timedelta(days=30)


@dataclass
class Known:
    """The conversations that a batch may touch; contacts of the batch itself are added as they are resolved."""

    conversations: dict[UUID, Conversation] = field(default_factory=dict[UUID, Conversation])
    by_reference: dict[str, UUID] = field(default_factory=dict[str, UUID])
    # Sender's hash and channel → the open conversation they last wrote in, and when.
    latest: dict[tuple[str, str], tuple[UUID, datetime]] = field(
        default_factory=dict[tuple[str, str], tuple[UUID, datetime]]
    )
    senders: set[tuple[UUID, str]] = field(default_factory=set[tuple[UUID, str]])

    def note(self, contact: ContactReceived, conversation: Conversation) -> None:
        """Remember that the contact belongs there, for the later ones of the batch."""
        self.conversations.setdefault(conversation.id, conversation)
        self.by_reference.setdefault(contact.reference, conversation.id)
        if contact.contact_point_hash:
            self.senders.add((conversation.id, contact.contact_point_hash))
            self.latest[contact.contact_point_hash, contact.channel] = (conversation.id, contact.received_at)


def resolve(contact: ContactReceived, known: Known, windows: Windows) -> Conversation | None:
    """The conversation that the contact continues; none when it opens one.

    Order: our signed token; a quoted reference, of somebody who writes there already; for channels without threads
    the sender's latest open conversation within the window. A reference alone proves nothing: it may be read over
    a shoulder.
    """
    for candidate, grace in (
        (_by_token(contact, known), windows.closed_grace),
        (_by_reference(contact, known), windows.closed_grace),
        (_by_sender(contact, known, windows), timedelta(0)),
    ):
        if candidate and _takes(candidate, contact.received_at, grace):
            return candidate
    return None


def uuid_of(text: str | None) -> UUID | None:
    """The id in a text; none when it is not one in its usual form."""
    try:
        return UUID(text) if text and len(text) == 36 else None
    except ValueError:
        return None


def quoted_by(contact: ContactReceived) -> str | None:
    """The reference that a contact quotes; none when it is no reference at all."""
    found = references_in(contact.thread.reference or "")
    return found[0] if found else None


def _by_token(contact: ContactReceived, known: Known) -> Conversation | None:
    token = uuid_of(contact.thread.conversation_id)
    return known.conversations.get(token) if token else None


def _by_reference(contact: ContactReceived, known: Known) -> Conversation | None:
    quoted, sender = quoted_by(contact), contact.contact_point_hash
    named = known.by_reference.get(quoted) if quoted else None
    if named is None or not sender or (named, sender) not in known.senders:
        return None
    return known.conversations.get(named)


def _by_sender(contact: ContactReceived, known: Known, windows: Windows) -> Conversation | None:
    if contact.channel not in THREADLESS or not contact.contact_point_hash:
        return None
    latest = known.latest.get((contact.contact_point_hash, contact.channel))
    if latest is None or contact.received_at - latest[1] > windows.same_sender:
        return None
    return known.conversations.get(latest[0])


def _takes(conversation: Conversation, at: datetime, grace: timedelta) -> bool:
    """Whether it is open, or closed so recently that the contact opens it again."""
    return conversation.closed_at is None or at - conversation.closed_at < grace
