"""Something to be sent to a citizen, and how they prefer to get it. Pure; no I/O."""

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
)
from parvis.common.contract.deterministic_ids import deterministic_id
from parvis.common.contract.event import Event, Model

ReplyId = NewType("ReplyId", str)
ReplyKind = Literal["registration", "receipt", "answer", "question", "transfer", "status"]


_NAMESPACE = uuid.UUID("c3d6b6b4-8f0e-5d2a-a1c6-0c6f2a5f4b10")


class PersonalReply(Model):
    """All that is personal in a reply."""

    contact_points: tuple[ContactPoint, ...] = Field(
        default=(), description="where the contact came from; none: see `addressed_as`"
    )
    stated: tuple[ReplyAddress, ...] = Field(default=(), description="the preference stated with the contact, in order")
    variables: dict[str, str] = Field(default_factory=dict, description="for the template")
    text: str = Field(default="", description="an agent's own words; empty when a template speaks")
    in_reply_to: str | None = Field(default=None, description="Message-ID of the mail that is answered")
    file_names: tuple[str, ...] = Field(default=(), description="of the attachments, in their order")


class ReplyRequested(Event):
    """Send this to the citizen of that conversation."""

    TYPE: ClassVar[str] = "reply.requested"

    reply_id: ReplyId
    conversation_id: ConversationId
    reference: Reference
    kind: ReplyKind
    department: DepartmentSlug
    procedure: str | None = Field(default=None, description="whose own templates go first", max_length=60)
    channel_of_contact: str = Field(
        description="where the citizen last wrote: the answer's channel, nothing else stated"
    )
    addressed_as: ConversationId | None = Field(
        default=None,
        description="with no contact point: to whom the earlier replies of this conversation went; to nobody, if none did",
    )
    template: str | None = None
    language: Language = "fr"
    legal: bool = Field(description="owed by law: an opt-out moves it to another channel, never blocks it")
    send_at: AwareDatetime = Field(description="hold until then")
    send_by: AwareDatetime | None = Field(
        default=None, description="quiet hours are obeyed up to then; none: a day after send_at for what the law owes"
    )
    requested_at: AwareDatetime
    requested_by: str = Field(description="the service, or the agent's account", max_length=80)
    attachments: tuple[ClaimCheck, ...] = ()
    personal: PersonalReply


def make_reply_id(*parts: str) -> ReplyId:
    """The id of a reply, from what caused it: asked for twice, it is one reply."""
    return ReplyId(deterministic_id(_NAMESPACE, "\x1f".join(parts)))
