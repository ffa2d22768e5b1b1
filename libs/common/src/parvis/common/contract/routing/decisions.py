"""One decision about one contact, and what its department gets. Pure; no I/O."""

import uuid
from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from parvis.common.contract.contact import (
    ContactId,
    ContactReceived,
    ConversationId,
    DepartmentSlug,
    Language,
    Reference,
)
from parvis.common.contract.deterministic_ids import time_ordered_id
from parvis.common.contract.event import Event, Model

Tag = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,30}$")]
SilenceMeaning = Literal["acceptance", "rejection", "none"]

_NAMESPACE = uuid.UUID("0d8c7a52-2f0f-5f43-8b2e-6a8f61c2a001")


class RunnerUp(Model):
    department: DepartmentSlug
    rule: str
    confidence: float = Field(ge=0, le=1)


class Suggestion(Model):
    """The words of a contact drift from its conversation: people may split it off; nothing moves by itself."""

    department: DepartmentSlug
    confidence: float = Field(ge=0, le=1)
    why: dict[str, str] = Field(description="one plain sentence per language")


class Candidate(Model):
    """A conversation to which a contact may belong; the citizen was asked and did not say."""

    conversation_id: ConversationId
    reference: Reference
    department: DepartmentSlug


class DueDates(Model):
    """What is due when, by the clocks of the procedure, in the town's days."""

    competent_received_at: AwareDatetime | None = Field(
        default=None, description="when the body that is competent got it; none: that is `received_at`"
    )
    receipt_due_at: AwareDatetime | None = None
    answer_due_at: AwareDatetime | None = None
    escalate_at: AwareDatetime | None = Field(
        default=None, description="when the department's head should know that the answer is about to be late"
    )
    silence_at: AwareDatetime | None = Field(default=None, description="when silence becomes a decision")
    silence_means: SilenceMeaning | None = None


class Routing(DueDates):
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
    tags: tuple[Tag, ...] = Field(default=(), description="of every rule that matched")
    model: str | None = Field(default=None, description="version of the model that took part", max_length=80)
    suggestion: Suggestion | None = None
    linked_to: ConversationId | None = Field(default=None, description="the closed conversation that this one follows")
    candidates: tuple[Candidate, ...] = Field(default=(), description="in the order of the question's numbers")
    language: Language | None = Field(default=None, description="of the text, as the door or the router read it")
    received_at: AwareDatetime = Field(description="the contact's; never changes")
    decided_at: AwareDatetime


class ContactRouted(Event):
    """A contact, in the queue of its department. On the wire `contact` is the received value's bytes, untouched."""

    TYPE: ClassVar[str] = "contact.routed"

    routing: Routing
    contact: ContactReceived


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


def make_conversation_id(first_contact: ContactId, received_at: datetime) -> ConversationId:
    """The id of the conversation that a contact opens: the same however often it is routed, in the order of time."""
    return ConversationId(time_ordered_id(_NAMESPACE, first_contact, received_at))
