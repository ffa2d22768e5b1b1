"""Which department has a conversation, and why: the events of the router, and of the desk towards it. Pure; no I/O."""

import uuid
from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field

from parvis.common.contact import (
    ClaimCheck,
    ContactId,
    ContactReceived,
    ConversationId,
    DepartmentSlug,
    Event,
    Language,
    Model,
    Reference,
)

_NAMESPACE = uuid.UUID("0d8c7a52-2f0f-5f43-8b2e-6a8f61c2a001")


class RunnerUp(Model):
    department: DepartmentSlug
    rule: str
    confidence: float = Field(ge=0, le=1)


class Routing(Model):
    """One decision about one contact; the row the router keeps, and the head of `contact.routed`."""

    conversation_id: ConversationId
    sequence: int = Field(ge=1, description="per conversation, without gap: this, not the offset, is the order")
    department: DepartmentSlug
    reference: Reference = Field(description="the conversation's, which is its first contact's")
    procedure: str | None = None
    rule: str = Field(description="what decided", examples=["birth-certificate", "conversation", "default"])
    rules_version: str = Field(description="first 12 digits of the SHA-256 of the rules file")
    matched: tuple[str, ...] = Field(default=(), description="the conditions that held, no personal data")
    confidence: float = Field(ge=0, le=1)
    runners_up: tuple[RunnerUp, ...] = ()
    reason: dict[str, str] = Field(description="one plain sentence per language")
    urgency: Literal["normal", "high", "immediate"] = "normal"
    language: Language | None = Field(default=None, description="of the text, as the door or the router read it")
    received_at: AwareDatetime = Field(description="the contact's; never changes")
    receipt_due_at: AwareDatetime | None = None
    answer_due_at: AwareDatetime | None = None
    decided_at: AwareDatetime


class ContactRouted(Event):
    """A contact, in the queue of its department. On the wire `contact` is the received value's bytes, untouched."""

    TYPE: ClassVar[str] = "contact.routed"

    routing: Routing
    contact: ContactReceived


class ConversationArrived(Event):
    """A conversation was transferred here."""

    TYPE: ClassVar[str] = "conversation.arrived"

    conversation_id: ConversationId
    sequence: int = Field(ge=1)
    reference: Reference
    from_department: DepartmentSlug
    to_department: DepartmentSlug
    reason: str = Field(max_length=400)
    history: ClaimCheck | None = Field(default=None, description="the conversation's contacts so far, newest last")
    at: AwareDatetime


class ConversationLeft(Event):
    """A conversation is no longer here: stop answering it."""

    TYPE: ClassVar[str] = "conversation.left"

    conversation_id: ConversationId
    sequence: int = Field(ge=1)
    reference: Reference
    from_department: DepartmentSlug
    to_department: DepartmentSlug
    reason: str = Field(max_length=400)
    at: AwareDatetime


class TransferRequested(Event):
    """Somebody wants a conversation in another department."""

    TYPE: ClassVar[str] = "transfer.requested"

    transfer_id: str = Field(description="the same for a repeated request")
    conversation_id: ConversationId
    from_department: DepartmentSlug = Field(description="believed to be the current one; a stale belief is refused")
    to_department: DepartmentSlug
    reason: str = Field(max_length=400)
    requested_by: str = Field(description="the agent's account, not a citizen", max_length=80)
    requested_at: AwareDatetime


class TransferRefused(Event):
    """A transfer that was not done, told to the department that asked."""

    TYPE: ClassVar[str] = "transfer.refused"

    transfer_id: str
    conversation_id: ConversationId
    from_department: DepartmentSlug
    to_department: DepartmentSlug
    current_department: DepartmentSlug | None = None
    why: Literal["stale", "unknown conversation", "unknown department", "already there"]
    at: AwareDatetime


class CaseUpdated(Event):
    """What a department does about a conversation, in the words a citizen may read."""

    TYPE: ClassVar[str] = "case.updated"

    conversation_id: ConversationId
    reference: Reference
    department: DepartmentSlug
    state: Literal["open", "waiting", "closed"]
    public_line: dict[str, str] = Field(default_factory=dict, description="one sentence per language")
    answer_due_at: AwareDatetime | None = None
    at: AwareDatetime


def conversation_id(first_contact: ContactId) -> ConversationId:
    """The id of the conversation that a contact opens: the same however often it is routed."""
    return ConversationId(str(uuid.uuid5(_NAMESPACE, first_contact)))
