"""Defines a delivery, the outcome of an attempt, and a provider's record of a message. Data only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from parvis.common.contract.contact import ClaimCheck, ConversationId
from parvis.common.contract.delivery import DeliveryId, DeliveryState, FailureClass, LetterStage
from parvis.common.contract.reply import ReplyId, ReplyKind

# Not written by a person. Questions and transfer notices count too: the router requests them by itself.
AUTOMATIC: frozenset[str] = frozenset({"registration", "receipt", "status", "question", "transfer"})
# Sent once more if the outcome of the first is unknown: twice does no harm, never does.
RESENT: frozenset[str] = frozenset({"registration", "receipt", "status"})
# After one of these failures no other channel is tried: a person decides.
FOR_PEOPLE: frozenset[str] = frozenset({"budget", "no-address"})


@dataclass(frozen=True)
class Delivery:
    """One row of the delivery table. Personal: `address`."""

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
    stage: LetterStage | None = None

    @property
    def is_automatic(self) -> bool:
        return self.kind in AUTOMATIC


@dataclass(frozen=True)
class SendOutcome:
    """The meaning of a provider's answer, or of its silence.

    `retry`: certainly not taken, but may be later. `unknown`: it may have been taken.
    """

    state: Literal["accepted", "delivered", "failed", "retry", "unknown"]
    provider_id: str | None = None
    failure_class: FailureClass | None = None
    detail: str = ""
    provider: str | None = None  # for channels with several
    stage: LetterStage | None = None


@dataclass(frozen=True)
class ProviderMessage:
    """A provider's record of a message, with its state."""

    state: Literal["accepted", "delivered", "undelivered", "failed"]
    provider: str
    provider_id: str
    failure_class: FailureClass | None = None
    detail: str = ""
