"""Describes every channel in one table: addresses, replies, threading, windows, media and names. Data only; no I/O."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

ContactPointKind = Literal["phone", "email", "post"]


@dataclass(frozen=True, kw_only=True)
class ChannelProperties:
    """The properties of one channel. Router, notifier, desk and pages ask this row instead of comparing names."""

    name: str
    contact_point_kind: ContactPointKind | None  # of a sender or recipient; None: the channel has no addresses

    # Contacts that arrive by it.
    reply_channel: str | None  # answers such a contact if the citizen stated nothing else; None: nothing does
    conversation_window: timedelta = timedelta(0)  # so long a new message of the same sender continues a conversation
    window_shared_with: str | None = None  # continues conversations of that channel as well
    has_thread_headers: bool = False  # Message-ID, In-Reply-To and References (RFC 5322) name the conversation
    asks_which_conversation: bool = False  # a question by the same channel settles which of several is meant
    is_scanned: bool = False  # a contact is a picture of paper: its text comes from OCR
    is_entered_by_agents: bool = False  # an agent writes the contact down

    # Replies that leave by it.
    is_sent: bool = False  # the notifier sends on it; a reply on any other channel is a task for people
    is_offered_to_citizens: bool = False  # a citizen or an agent may choose it for the reply
    carried_by: str | None = None  # the channel whose messages announce the reply; its opt-outs hold here too
    carries_attachments: bool = False  # files travel with the reply; without, the reply holds a link to them
    is_interruptive: bool = False  # makes a telephone ring or buzz: held during quiet hours
    is_resent_safely: bool = False  # sending twice has one effect, so that no outcome is ever unknown
    late_failure: Literal["permanent", "any"] | None = None  # outweighs `delivered` when it is reported afterwards
    template_medium: Literal["sms", "email", "letter"] | None = None
    media_type: str | None = None  # of the rendered reply, as it is kept for evidence

    # On pages.
    icon: str = ""
    labels: tuple[tuple[str, str], ...] = ()  # language and name, for people

    @property
    def window_channel(self) -> str:
        """The channel under which its open conversations are looked up."""
        return self.window_shared_with or self.name

    def label(self, language: str) -> str:
        """The channel's name for people: in this language, else in the first one listed."""
        words = dict(self.labels)
        return words.get(language) or next(iter(words.values()), self.name)


_CHANNELS = (
    ChannelProperties(
        name="sms",
        contact_point_kind="phone",
        reply_channel="sms",
        is_offered_to_citizens=True,
        is_sent=True,
        conversation_window=timedelta(days=7),
        asks_which_conversation=True,
        is_interruptive=True,
        template_medium="sms",
        media_type="text/plain; charset=utf-8",
        icon="sms",
        labels=(("fr", "SMS"), ("en", "text message")),
    ),
    ChannelProperties(
        name="whatsapp",
        contact_point_kind="phone",
        reply_channel="sms",
        conversation_window=timedelta(days=7),
        window_shared_with="sms",
        asks_which_conversation=True,
        is_interruptive=True,
        template_medium="sms",
        media_type="text/plain; charset=utf-8",
        icon="whatsapp",
        labels=(("fr", "WhatsApp"), ("en", "WhatsApp")),
    ),
    ChannelProperties(
        name="email",
        contact_point_kind="email",
        reply_channel="email",
        is_offered_to_citizens=True,
        carries_attachments=True,
        late_failure="permanent",  # the last mail server took it, but the mailbox behind it may not exist
        is_sent=True,
        conversation_window=timedelta(days=14),
        has_thread_headers=True,
        is_interruptive=True,
        template_medium="email",
        media_type="message/rfc822",
        icon="email",
        labels=(("fr", "courriel"), ("en", "email")),
    ),
    ChannelProperties(
        name="web",
        contact_point_kind=None,
        reply_channel=None,
        icon="web",
        labels=(("fr", "formulaire en ligne"), ("en", "web form")),
    ),
    ChannelProperties(
        name="post",
        contact_point_kind="post",
        reply_channel="post",
        is_scanned=True,
        is_offered_to_citizens=True,
        late_failure="any",  # `delivered` means handed to the print shop; a returned letter says more
        is_sent=True,
        is_resent_safely=True,
        template_medium="letter",
        media_type="application/pdf",
        icon="post",
        labels=(("fr", "courrier postal"), ("en", "letter")),
    ),
    ChannelProperties(
        name="inbox",
        contact_point_kind="phone",  # an SMS holds the link to the reply
        reply_channel="inbox",
        carried_by="sms",
        is_sent=True,
        template_medium="sms",
        media_type="text/plain; charset=utf-8",
        icon="inbox",
        labels=(("fr", "espace de réponse"), ("en", "reply page")),
    ),
    ChannelProperties(
        name="phone",
        contact_point_kind="phone",
        reply_channel="phone",
        is_offered_to_citizens=True,
        is_entered_by_agents=True,
        icon="phone",
        labels=(("fr", "téléphone"), ("en", "telephone")),
    ),
    ChannelProperties(
        name="counter",
        contact_point_kind=None,
        reply_channel=None,
        is_entered_by_agents=True,
        icon="counter",
        labels=(("fr", "guichet"), ("en", "counter")),
    ),
)
_REGISTRY = {row.name: row for row in _CHANNELS}


def channel(name: str) -> ChannelProperties:
    """The row of a channel. An unknown name gets a row without properties: a newer service may know more channels than this one."""
    return _REGISTRY.get(name) or ChannelProperties(name=name, contact_point_kind=None, reply_channel=None)


def channels() -> tuple[ChannelProperties, ...]:
    """Every known channel, in the order of the table."""
    return tuple(_REGISTRY.values())


def is_known_channel(name: str) -> bool:
    """Whether the table has the channel. Check it where a person or an operator enters a name; events are read without it."""
    return name in _REGISTRY


def channel_for_contact_point(kind: ContactPointKind) -> ChannelProperties | None:
    """The first channel in the table that sends to such an address: `phone` gives SMS. None if no channel sends to it."""
    return next((row for row in channels() if row.is_sent and row.contact_point_kind == kind), None)


@contextmanager
def temporary_channel(row: ChannelProperties) -> Generator[ChannelProperties]:
    """Adds a channel within a `with` block, so that a test can try one that does not exist. A channel of the same name returns after it."""
    previous = _REGISTRY.get(row.name)
    _REGISTRY[row.name] = row
    try:
        yield row
    finally:
        if previous is None:
            del _REGISTRY[row.name]
        else:
            _REGISTRY[row.name] = previous
