"""Defines reply.requested, the event that asks the notifier to send something to a citizen. Pure; no I/O."""

import uuid
from typing import ClassVar, Literal, NewType

from pydantic import AwareDatetime, Field

from parvis.common.contract.contact import (
    ClaimCheck,
    ContactPoint,
    ConversationId,
    DepartmentSlug,
    Language,
    Reference,
    ReplyAddress,
    SourceHash,
)
from parvis.common.contract.deterministic_ids import deterministic_id
from parvis.common.contract.event_base import Event, Model

ReplyId = NewType("ReplyId", str)
ReplyKind = Literal["registration", "receipt", "answer", "question", "transfer", "status"]

MAX_PRINTED_PAGES = 30  # of the attachments of a letter; with more it says how to ask for them
_NAMESPACE = uuid.UUID("c3d6b6b4-8f0e-5d2a-a1c6-0c6f2a5f4b10")


class ReplyPersonalData(Model):
    """All personal data of a reply."""

    contact_points: tuple[ContactPoint, ...] = Field(
        default=(), description="addresses from which the citizen wrote; if empty, see `addressed_as`"
    )
    stated: tuple[ReplyAddress, ...] = Field(
        default=(), description="reply channels that the citizen asked for in the contact, in order"
    )
    variables: dict[str, str] = Field(default_factory=dict, description="values of the template's variables")
    text: str = Field(default="", description="an agent's own words; empty if a template is used alone")
    in_reply_to: str | None = Field(default=None, description="Message-ID of the mail that this reply answers")
    file_names: tuple[str, ...] = Field(default=(), description="names of `attachments`, in the same order")


class ReplyRequested(Event):
    """A request to send a reply to the citizen of a conversation."""

    TYPE: ClassVar[str] = "reply.requested"

    reply_id: ReplyId = Field(description="deterministic id (UUID): a repeated request has the same")
    conversation_id: ConversationId
    reference: Reference
    kind: ReplyKind
    department: DepartmentSlug
    procedure: str | None = Field(
        default=None, description="procedure whose own templates take precedence", max_length=60
    )
    channel_of_contact: str = Field(
        description="channel by which the citizen last wrote: used for the reply unless something else was stated",
        examples=["sms"],
    )
    addressed_as: ConversationId | None = Field(
        default=None,
        description="conversation whose earlier replies give the addresses if there is no contact point; nobody gets it if there were none",
    )
    to_other_person: bool = Field(
        default=False,
        description="the recipient only joined somebody else's conversation: `addressed_as` never finds their address",
    )
    template: str | None = Field(
        default=None, description="name of the template; null for free text", examples=["receipt"]
    )
    language: Language = "fr"
    legal: bool = Field(description="required by law: an opt-out moves it to another channel and never stops it")
    send_at: AwareDatetime = Field(description="not to be sent before this instant")
    send_by: AwareDatetime | None = Field(
        default=None,
        description="quiet hours are obeyed until this instant; null: until a day after `send_at` if `legal`, else without limit",
    )
    requested_at: AwareDatetime
    requested_by: str = Field(description="the requesting service, or the account of the agent", max_length=80)
    attachments: tuple[ClaimCheck, ...] = ()
    sources: tuple[SourceHash, ...] = Field(
        default=(), description="`sources` of the contact that caused it, for the budgets of automatic messages"
    )
    personal: ReplyPersonalData


def make_reply_id(*parts: str) -> ReplyId:
    """The deterministic id of a reply, from what caused it: two requests for the same thing are one reply."""
    return ReplyId(deterministic_id(_NAMESPACE, "\x1f".join(parts)))
