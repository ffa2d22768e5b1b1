"""What came before, as a department gets it with a conversation that arrives. Pure; no I/O."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field

from parvis.common.contract.contact import ClaimCheck, ContactId, ConversationId, DepartmentSlug, Language, Reference
from parvis.common.contract.event import Model
from parvis.common.contract.routing.decisions import Tag


class PastContact(Model):
    """One contact of a conversation, as the router knows it: why it came where, and where its bytes are."""

    contact_id: ContactId
    reference: Reference
    conversation_id: ConversationId = Field(description="in which it came; another one when it was moved by a split")
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
    original: ClaimCheck | None = Field(default=None, description="the contact as it came; none where it is not known")


class PastTransfer(Model):
    """One transfer of a conversation."""

    sequence: int = Field(ge=1)
    from_department: DepartmentSlug
    to_department: DepartmentSlug
    reason: str
    at: AwareDatetime


class History(Model):
    """What came before: the JSON that `history` of `conversation.arrived` and `conversation.opened` claims."""

    MEDIA_TYPE: ClassVar[str] = "application/json"

    conversation_id: ConversationId
    reference: Reference
    contacts: tuple[PastContact, ...] = Field(default=(), description="newest last")
    left_out: int = Field(default=0, ge=0, description="older contacts for which there was no room")
    moves: tuple[PastTransfer, ...] = Field(default=(), description="newest last")
    linked: tuple[Reference, ...] = ()
