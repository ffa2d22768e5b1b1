"""Defines a routing decision, and the events contact.routed and case.updated. Pure; no I/O."""

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
from parvis.common.contract.event_base import Event, Model

Tag = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,30}$")]
SilenceMeaning = Literal["acceptance", "rejection", "none"]

OTHER_PERSON = "other person"  # in `matched`: somebody else than the participants joined with our token

_NAMESPACE = uuid.UUID("0d8c7a52-2f0f-5f43-8b2e-6a8f61c2a001")


class RunnerUp(Model):
    """A department that was considered and not chosen."""

    department: DepartmentSlug
    rule: str
    confidence: float = Field(ge=0, le=1)


class SplitSuggestion(Model):
    """A hint that a contact is about something else than its conversation. An agent may split it off; nothing moves by itself."""

    department: DepartmentSlug
    confidence: float = Field(ge=0, le=1)
    why: dict[str, str] = Field(description="one plain sentence per language")


class CandidateConversation(Model):
    """A conversation to which a contact may belong; the citizen was asked and did not answer."""

    conversation_id: ConversationId
    reference: Reference
    department: DepartmentSlug


class DueDates(Model):
    """The legal deadlines of a conversation, counted in the town's working days."""

    competent_received_at: AwareDatetime | None = Field(
        default=None, description="instant at which the competent body received it; null: `received_at`"
    )
    receipt_due_at: AwareDatetime | None = Field(
        default=None, description="deadline of the receipt; null if none is due"
    )
    answer_due_at: AwareDatetime | None = Field(default=None, description="deadline of the answer")
    escalate_at: AwareDatetime | None = Field(
        default=None,
        description="instant at which the head of the department is told that the answer is about to be late",
    )
    silence_at: AwareDatetime | None = Field(default=None, description="instant at which silence becomes a decision")
    silence_means: SilenceMeaning | None = None


class Routing(DueDates):
    """The decision about one contact, as the router stores it and `contact.routed` carries it."""

    conversation_id: ConversationId
    sequence: int = Field(
        ge=1, description="order within the conversation, from 1, without gaps; the Kafka offset is not the order"
    )
    department: DepartmentSlug
    reference: Reference = Field(description="reference of the conversation, which is that of its first contact")
    procedure: str | None = None
    rule: str = Field(description="rule that decided", examples=["birth-certificate", "conversation", "default"])
    rules_version: str = Field(description="first 12 hexadecimal digits of the SHA-256 of the rules file")
    matched: tuple[str, ...] = Field(default=(), description="conditions that held, without personal data")
    confidence: float = Field(description="0 to 1; 1 for a rule", ge=0, le=1)
    runners_up: tuple[RunnerUp, ...] = ()
    reason: dict[str, str] = Field(description="one plain sentence per language, for the agent")
    urgency: Literal["normal", "high", "immediate"] = "normal"
    tags: tuple[Tag, ...] = Field(default=(), description="tags of every rule that matched")
    model: str | None = Field(default=None, description="version of the classifier that took part", max_length=80)
    suggestion: SplitSuggestion | None = None
    only_thanks: bool | None = Field(
        default=None, description="true if it continues a conversation with nothing but thanks: it reopens no case"
    )
    linked_to: ConversationId | None = Field(default=None, description="closed conversation that this one follows")
    candidates: tuple[CandidateConversation, ...] = Field(
        default=(), description="in the order of the numbers in the question to the citizen"
    )
    language: Language | None = Field(default=None, description="language of the text (ISO 639)")
    received_at: AwareDatetime = Field(description="`received_at` of the contact; never changes")
    decided_at: AwareDatetime = Field(description="instant of this decision")


class ContactRouted(Event):
    """A contact in the queue of its department. In JSON, `contact` has the very bytes of the received event."""

    TYPE: ClassVar[str] = "contact.routed"

    routing: Routing
    contact: ContactReceived


class CaseUpdated(Event):
    """The state of a case, in words that the citizen may read."""

    TYPE: ClassVar[str] = "case.updated"

    conversation_id: ConversationId
    reference: Reference
    department: DepartmentSlug
    state: Literal["open", "waiting", "closed"]
    public_line: dict[str, str] = Field(default_factory=dict, description="one sentence per language, for the citizen")
    answer_due_at: AwareDatetime | None = None
    at: AwareDatetime = Field(description="instant of the change")


def make_conversation_id(first_contact: ContactId, received_at: datetime) -> ConversationId:
    """The deterministic, time-ordered id of the conversation that a contact opens."""
    return ConversationId(time_ordered_id(_NAMESPACE, first_contact, received_at))
