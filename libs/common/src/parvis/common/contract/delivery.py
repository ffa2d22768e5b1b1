"""Defines delivery.reported and delivery.updated, the states of a delivery and their precedence. Pure; no I/O."""

import uuid
from typing import ClassVar, Literal, NewType

from pydantic import AwareDatetime, Field

from parvis.common.contract.channels import channel
from parvis.common.contract.contact import ClaimCheck, ConversationId, Reference, ReplyChannel
from parvis.common.contract.event_base import Event
from parvis.common.contract.reply import ReplyId, ReplyKind

DeliveryId = NewType("DeliveryId", str)
DeliveryState = Literal["planned", "reserved", "accepted", "delivered", "undelivered", "failed", "unknown", "cancelled"]
FailureClass = Literal[
    "permanent", "temporary", "opted-out", "unreachable", "too-long", "refused", "budget", "no-address"
]
LetterStage = Literal["to-print", "handed-over", "posted", "returned"]
STAGE_RANK: dict[str | None, int] = {None: 0, "to-print": 1, "handed-over": 2, "posted": 3, "returned": 4}

# A later report never undoes a stronger one: callbacks arrive in any order and number.
RANK: dict[str, int] = {
    "planned": 0,
    "reserved": 1,
    "unknown": 2,
    "accepted": 3,
    "delivered": 4,
    "undelivered": 4,
    "failed": 4,
    "cancelled": 4,
}

_NAMESPACE = uuid.UUID("6e0b7a8a-93f5-5b6f-8a4a-5b7d0a6d2f20")


class DeliveryReported(Event):
    """A report by a provider, a bounce or a returned letter on the delivery of a reply."""

    TYPE: ClassVar[str] = "delivery.reported"

    reply_id: ReplyId
    channel: ReplyChannel
    provider: str = Field(description="who reports", examples=["twilio"], max_length=40)
    provider_id: str | None = Field(default=None, description="provider's id of the message", max_length=200)
    outcome: DeliveryState
    failure_class: FailureClass | None = None
    detail: str = Field(default="", description="provider's code, without personal data", max_length=200)
    reported_at: AwareDatetime


class DeliveryUpdated(Event):
    """One change of state of one delivery; all of them together are the delivery ledger."""

    TYPE: ClassVar[str] = "delivery.updated"

    delivery_id: DeliveryId
    reply_id: ReplyId
    conversation_id: ConversationId
    reference: Reference
    kind: ReplyKind
    channel: ReplyChannel
    attempt: int = Field(description="number of the attempt on this channel, from 1", ge=1)
    step: int = Field(
        default=1, ge=1, description="number of the channel in the fallback order: 1 for the first, 2 for the next"
    )
    why: str = Field(default="", description="why this channel was chosen, without personal data", max_length=200)
    moves_to: ReplyChannel | None = Field(
        default=None, description="channel that the reply falls back to; null if there is none and a person must act"
    )
    state: DeliveryState
    stage: LetterStage | None = Field(
        default=None,
        description="how far a letter has come: written and to be printed, in a batch that the print shop can take, posted, returned; "
        "null for every other channel. Its state stays `accepted`, because nobody proves that it arrived",
    )
    provider: str | None = Field(default=None, max_length=40)
    provider_id: str | None = None
    failure_class: FailureClass | None = None
    detail: str = Field(default="", max_length=200)
    evidence: ClaimCheck | None = Field(default=None, description="the rendered message as it was sent")
    at: AwareDatetime


def make_delivery_id(reply: ReplyId, channel: str) -> DeliveryId:
    """The id of the delivery of a reply on a channel: deterministic."""
    return DeliveryId(str(uuid.uuid5(_NAMESPACE, f"{reply}\x1f{channel}")))


def outranks(new: str, current: str, *, came_back: bool = False) -> bool:
    """Whether a reported state replaces the current one, in whatever order and number reports arrive.

    `delivered` also replaces a premature failure, unless `came_back`: then the failure is the stronger report (see `is_late_bounce`).
    """
    if {new, current} == {"delivered", "undelivered"}:
        return (new == "undelivered") == came_back
    return RANK[new] > RANK[current] or (new == "delivered" and current == "failed")


def is_later_stage(new: str | None, current: str | None) -> bool:
    """Whether a letter has come further; a letter that was returned never goes back."""
    return STAGE_RANK[new] > STAGE_RANK[current]


def is_late_bounce(channel_name: str, failure_class: str | None) -> bool:
    """Whether `undelivered` outweighs `delivered`, whichever was reported first.

    A letter counted as delivered when it was written, in events without a stage; one that is returned says more. A mail counts as delivered when the last
    server that reports has it; the mailbox behind that server may not exist. The receipt of a telephone is final.
    """
    late_failure = channel(channel_name).late_failure
    return late_failure == "any" or (late_failure is not None and late_failure == failure_class)
