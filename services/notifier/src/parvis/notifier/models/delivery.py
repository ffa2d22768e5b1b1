"""Defines a delivery as its row stands, and what a provider's answer means for it. Data only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from parvis.common.contract.contact import ClaimCheck, ConversationId
from parvis.common.contract.delivery import DeliveryId, DeliveryState, FailureClass
from parvis.common.contract.reply import ReplyId, ReplyKind

# Not written by a person. A question or a transfer notice counts as well: the router asks for them on its own.
AUTOMATIC: frozenset[str] = frozenset({"registration", "receipt", "status", "question", "transfer"})
# Sent once more when nobody knows what became of the first: twice is harmless, never is not.
RESENT: frozenset[str] = frozenset({"registration", "receipt", "status"})
# A delivery that failed for one of these reasons is not tried on another channel: a person looks first.
FOR_PEOPLE: frozenset[str] = frozenset({"budget", "no-address"})


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
class SendOutcome:
    """What a provider's answer, or its silence, means.

    `retry` says that it surely was not taken and may be later; `unknown` that it may have been taken.
    """

    state: Literal["accepted", "delivered", "failed", "retry", "unknown"]
    provider_id: str | None = None
    failure_class: FailureClass | None = None
    detail: str = ""
    provider: str | None = None  # where a channel has several


@dataclass(frozen=True)
class ProviderMessage:
    """A message that a provider has, and how far it got."""

    state: Literal["accepted", "delivered", "undelivered", "failed"]
    provider: str
    provider_id: str
    failure_class: FailureClass | None = None
    detail: str = ""
