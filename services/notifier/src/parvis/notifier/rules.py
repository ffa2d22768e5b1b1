"""What the notifier's parts say to each other, and the limits they keep. Data only."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol, runtime_checkable

from parvis.common.contract.contact import ClaimCheck, ConversationId
from parvis.common.contract.delivery import DeliveryId, DeliveryState, FailureClass
from parvis.common.contract.errors import Rejected
from parvis.common.contract.reply import ReplyId, ReplyKind

# What no person wrote. A question or a transfer notice counts as well: the router asks for them on its own.
AUTOMATIC: frozenset[str] = frozenset({"registration", "receipt", "status", "question", "transfer"})
# Sent once more when nobody knows what became of the first: twice is harmless, never is not.
RESENT: frozenset[str] = frozenset({"registration", "receipt", "status"})
# A letter is an atomic write under its own name: doing it again is doing it once.
REPEATABLE: frozenset[str] = frozenset({"post"})
# The kind of contact point that a reply channel goes to.
POINT_KIND: dict[str, str] = {"sms": "phone", "whatsapp": "phone", "email": "email", "post": "post", "inbox": "phone"}
# What failed for one of these reasons is not tried on another channel: a person looks first.
FOR_PEOPLE: frozenset[str] = frozenset({"budget", "no-address"})


class TooLong(Rejected):
    """The text does not fit the channel."""


@dataclass(frozen=True)
class Limits:
    """How much, how long, how often."""

    in_flight: int = 50
    lease: timedelta = timedelta(seconds=90)
    unknown_after: timedelta = timedelta(minutes=15)
    ask_every: timedelta = timedelta(seconds=30)
    retry_for: timedelta = timedelta(hours=48)
    automatic_a_day: int = 5
    answers_a_day: int = 30
    a_conversation_a_day: int = 40
    automatic_an_hour: int = 50_000
    enclosures_bytes: int = 7_000_000
    held_for_quiet: timedelta = timedelta(hours=24)


@dataclass(frozen=True)
class Delivery:
    """One delivery as its row stands. Personal: `address`."""

    delivery_id: DeliveryId
    reply_id: ReplyId
    conversation_id: ConversationId
    reference: str
    kind: ReplyKind
    channel: str
    address: str
    address_hash: str
    state: DeliveryState
    attempt: int
    send_at: datetime
    first_reserved_at: datetime | None = None
    reserved_at: datetime | None = None
    resent_at: datetime | None = None
    provider: str | None = None
    provider_id: str | None = None
    failure_class: FailureClass | None = None
    detail: str = ""
    evidence: ClaimCheck | None = None
    step: int = 1
    why: str = ""
    moves_to: str | None = None
    sends: int = 0  # attempts that the provider took, or may have taken
    large_print: bool = False

    @property
    def is_automatic(self) -> bool:
        return self.kind in AUTOMATIC


@dataclass(frozen=True)
class Outcome:
    """What a provider's answer, or its silence, means.

    `retry` says that it surely was not taken and may be later; `unknown` that it may have been taken.
    """

    state: Literal["accepted", "delivered", "failed", "retry", "unknown"]
    provider_id: str | None = None
    failure_class: FailureClass | None = None
    detail: str = ""
    provider: str | None = None  # where a channel has several


@dataclass(frozen=True)
class Enclosure:
    """A file that goes with an answer."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Parcel:
    """A delivery, ready to leave: the rendered bytes, as they are kept for evidence."""

    delivery: Delivery
    content: bytes
    media_type: str
    department: str = ""


@dataclass(frozen=True)
class Found:
    """A message that a provider has, and how far it got."""

    state: Literal["accepted", "delivered", "undelivered", "failed"]
    provider: str
    provider_id: str
    failure_class: FailureClass | None = None
    detail: str = ""


@dataclass(frozen=True)
class Letter:
    """A letter as the print shop is told of it: nothing personal."""

    delivery_id: str
    file_name: str
    sha256: str
    size_bytes: int
    pages: int
    country: str
    reference: str
    written_at: datetime


@dataclass(frozen=True)
class Waiting:
    """The letters that no batch has yet."""

    count: int
    since: datetime | None


class Channel(Protocol):
    """One provider behind one reply channel.

    Gives:  the outcome of exactly one attempt; no retry of its own.
    Raises: nothing of the provider's: every answer and every silence is an outcome.
    """

    provider: str

    async def send(self, parcel: Parcel) -> Outcome: ...

    async def close(self) -> None: ...


@runtime_checkable
class Rests(Protocol):
    """A channel whose every provider is in trouble: while it rests nothing is reserved for it."""

    def rests(self) -> bool: ...


@runtime_checkable
class Answers(Protocol):
    """A channel whose providers can be asked what became of a delivery.

    Gives:  polled, the providers that never say so by themselves; find, every message of theirs that may be this delivery,
            none when they surely never took it.
    Raises: Unavailable, when they cannot be asked now.
    """

    polled: frozenset[str]

    async def find(self, delivery: Delivery, text: str) -> list[Found]: ...
