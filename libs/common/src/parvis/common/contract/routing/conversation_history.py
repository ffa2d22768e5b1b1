"""Defines the history that a department gets with a transferred conversation. Pure; no I/O."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field

from parvis.common.contract.contact import ClaimCheck, ContactId, ConversationId, DepartmentSlug, Language, Reference
from parvis.common.contract.event_base import Model
from parvis.common.contract.routing.decisions import Tag


class PastContact(Model):
    """An earlier contact of a conversation: why it was routed where, and where its bytes are."""

    contact_id: ContactId
    reference: Reference
    conversation_id: ConversationId = Field(
        description="conversation in which it arrived; differs from the history's after a split"
    )
    sequence: int = Field(ge=1)
    channel: str | None = None
    department: DepartmentSlug
    procedure: str | None = None
    rule: str
    reason: dict[str, str]
    urgency: Literal["normal", "high", "immediate"] = "normal"
    tags: tuple[Tag, ...] = ()
    language: Language | None = None
    received_at: AwareDatetime
    original: ClaimCheck | None = Field(default=None, description="the contact as it came; null if unknown")


class PastTransfer(Model):
    """An earlier transfer of a conversation."""

    sequence: int = Field(ge=1)
    from_department: DepartmentSlug
    to_department: DepartmentSlug
    reason: str
    at: AwareDatetime


class History(Model):
    """The JSON document that `history` of `conversation.arrived` and `conversation.opened` refers to."""

    MEDIA_TYPE: ClassVar[str] = "application/json"

    conversation_id: ConversationId
    reference: Reference
    contacts: tuple[PastContact, ...] = Field(default=(), description="newest last")
    left_out: int = Field(default=0, ge=0, description="number of older contacts that did not fit")
    moves: tuple[PastTransfer, ...] = Field(default=(), description="newest last")
    linked: tuple[Reference, ...] = Field(default=(), description="references of linked conversations")
