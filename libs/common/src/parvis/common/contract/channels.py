"""Describes every channel in one table: who can be reached by it, how it is answered, how its messages are threaded. Data only."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Channel:
    """What the router, the notifier, the desk and the pages need to know of a channel. They ask this row and compare no names."""

    name: str
    contact_point_kind: (
        Literal["phone", "email", "post"] | None
    )  # of a sender or recipient; None: no address of its own
    reply_channel: str | None  # answers a contact of this channel where the citizen stated nothing else; None: cannot
    is_sent: bool = False  # the notifier sends on it; a reply on any other is a task for people
    conversation_window: timedelta = timedelta(0)  # how long a new message of the same sender continues a conversation
    window_shared_with: str | None = None  # the channel whose conversations it continues as its own
    has_thread_headers: bool = False  # Message-ID, In-Reply-To and References name the conversation (RFC 5322)
    asks_which_conversation: bool = False  # a short question back to the sender is usual where several could be meant
    is_interruptive: bool = False  # its arrival makes a telephone ring: quiet hours hold it
    is_resent_safely: bool = False  # sending twice has one effect: an outcome is never unknown
    template_medium: Literal["sms", "email", "letter"] | None = None
    media_type: str | None = None  # of what is sent, as evidence
    icon: str = ""
    labels: tuple[tuple[str, str], ...] = ()  # language and word, for people

    def label(self, language: str) -> str:
        """The channel's name for people: in this language, else in the first one that there is."""
        words = dict(self.labels)
        return words.get(language) or next(iter(words.values()), self.name)


_CHANNELS = (
    Channel(
        name="sms",
        contact_point_kind="phone",
        reply_channel="sms",
        is_sent=True,
        conversation_window=timedelta(days=7),
        asks_which_conversation=True,
        is_interruptive=True,
        template_medium="sms",
        media_type="text/plain; charset=utf-8",
        icon="sms",
        labels=(("fr", "SMS"), ("en", "text message")),
    ),
    Channel(
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
    Channel(
        name="email",
        contact_point_kind="email",
        reply_channel="email",
        is_sent=True,
        conversation_window=timedelta(days=14),
        has_thread_headers=True,
        is_interruptive=True,
        template_medium="email",
        media_type="message/rfc822",
        icon="email",
        labels=(("fr", "courriel"), ("en", "email")),
    ),
    Channel(
        name="web",
        contact_point_kind=None,
        reply_channel=None,
        icon="web",
        labels=(("fr", "formulaire en ligne"), ("en", "web form")),
    ),
    Channel(
        name="post",
        contact_point_kind="post",
        reply_channel="post",
        is_sent=True,
        is_resent_safely=True,
        template_medium="letter",
        media_type="application/pdf",
        icon="post",
        labels=(("fr", "courrier postal"), ("en", "letter")),
    ),
    Channel(
        name="inbox",
        contact_point_kind="phone",  # an SMS says where the reply is kept
        reply_channel="inbox",
        is_sent=True,
        template_medium="sms",
        media_type="text/plain; charset=utf-8",
        icon="inbox",
        labels=(("fr", "espace de réponse"), ("en", "reply page")),
    ),
    Channel(
        name="phone",
        contact_point_kind="phone",
        reply_channel="phone",
        icon="phone",
        labels=(("fr", "téléphone"), ("en", "telephone")),
    ),
    Channel(
        name="counter",
        contact_point_kind=None,
        reply_channel=None,
        icon="counter",
        labels=(("fr", "guichet"), ("en", "counter")),
    ),
)
_REGISTRY = {row.name: row for row in _CHANNELS}


def channel(name: str) -> Channel:
    """The row of a channel. An unknown name gives a row that says no more than the name: a newer door may know more channels than we do."""
    return _REGISTRY.get(name) or Channel(name=name, contact_point_kind=None, reply_channel=None)


def channels() -> tuple[Channel, ...]:
    """Every known channel, in the order of the table."""
    return tuple(_REGISTRY.values())


@contextmanager
def temporary_channel(row: Channel) -> Generator[Channel]:
    """Adds a channel for the length of a `with` block: how a test tries one that nobody has built."""
    _REGISTRY[row.name] = row
    try:
        yield row
    finally:
        del _REGISTRY[row.name]
