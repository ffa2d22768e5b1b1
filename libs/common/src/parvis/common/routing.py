"""Which department has a conversation, and why: the events of the router, and of the desk towards it. Pure; no I/O."""

import uuid
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field, StringConstraints

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
from parvis.common.ids import id_of

Tag = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,30}$")]
Silence = Literal["acceptance", "rejection", "none"]

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


class Dates(Model):
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
    silence_means: Silence | None = None


class Routing(Dates):
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


class Stopped(Model):
    """Why a transfer ended elsewhere than asked: people decide."""

    wanted_department: DepartmentSlug
    why: dict[str, str] = Field(description="one plain sentence per language")


class ConversationArrived(Dates, Event):
    """A conversation was transferred here. It bears new dates when another body became competent by it."""

    TYPE: ClassVar[str] = "conversation.arrived"

    conversation_id: ConversationId
    sequence: int = Field(ge=1)
    reference: Reference
    from_department: DepartmentSlug
    to_department: DepartmentSlug
    reason: str = Field(max_length=400)
    stopped: Stopped | None = None
    history: ClaimCheck | None = Field(default=None, description="a History: what came before, newest last")
    procedure: str | None = None
    language: Language | None = Field(default=None, description="in which the citizen last wrote, where it is known")
    body: str | None = Field(default=None, description="the body that is competent, where it is not the town itself")
    received_at: AwareDatetime | None = Field(default=None, description="of the first contact; never changes")
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
    stopped: Stopped | None = None
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


class SplitRequested(Event):
    """Somebody wants some contacts of a conversation in one of their own: they are about something else."""

    TYPE: ClassVar[str] = "split.requested"

    split_id: str = Field(description="the same for a repeated request; the new conversation's id follows from it")
    conversation_id: ConversationId
    contact_ids: tuple[ContactId, ...] = Field(min_length=1, max_length=200, description="that move out")
    from_department: DepartmentSlug = Field(description="believed to be the current one; a stale belief is refused")
    to_department: DepartmentSlug = Field(description="of the new conversation")
    reason: str = Field(max_length=400)
    requested_by: str = Field(description="the agent's account, not a citizen", max_length=80)
    requested_at: AwareDatetime


class ConversationSplit(Event):
    """Contacts of a conversation moved out into a new one; told to the department that keeps the rest."""

    TYPE: ClassVar[str] = "conversation.split"

    conversation_id: ConversationId
    sequence: int = Field(ge=1)
    reference: Reference
    department: DepartmentSlug
    contact_ids: tuple[ContactId, ...] = Field(description="that moved out")
    into_conversation: ConversationId
    into_reference: Reference
    into_department: DepartmentSlug
    reason: str = Field(max_length=400)
    at: AwareDatetime


class ConversationOpened(Dates, Event):
    """A conversation was made of contacts of another one; told to the department that has the new one."""

    TYPE: ClassVar[str] = "conversation.opened"

    conversation_id: ConversationId
    sequence: int = Field(ge=1)
    reference: Reference
    department: DepartmentSlug
    contact_ids: tuple[ContactId, ...] = Field(description="that moved in, oldest first")
    out_of_conversation: ConversationId
    out_of_reference: Reference
    from_department: DepartmentSlug
    reason: str = Field(max_length=400)
    history: ClaimCheck | None = Field(default=None, description="a History of the contacts that moved in")
    procedure: str | None = None
    language: Language | None = None
    body: str | None = Field(default=None, description="the body that is competent, where it is not the town itself")
    received_at: AwareDatetime = Field(description="of the oldest contact that moved in; never changes")
    at: AwareDatetime


class SplitRefused(Event):
    """A split that was not done, told to the department that asked."""

    TYPE: ClassVar[str] = "split.refused"

    split_id: str
    conversation_id: ConversationId
    from_department: DepartmentSlug
    to_department: DepartmentSlug
    current_department: DepartmentSlug | None = None
    why: Literal["stale", "unknown conversation", "unknown department", "unknown contact", "nothing would stay"]
    at: AwareDatetime


class LinkRequested(Event):
    """Somebody says that two conversations belong together, or takes it back."""

    TYPE: ClassVar[str] = "link.requested"

    link_id: str = Field(description="the same for a repeated request")
    conversation_id: ConversationId
    other_reference: Reference = Field(description="of the conversation that it belongs with")
    wanted: Literal["linked", "unlinked"] = "linked"
    from_department: DepartmentSlug = Field(description="believed to be the current one; a stale belief is refused")
    reason: str = Field(default="", max_length=400)
    requested_by: str = Field(description="the agent's account, not a citizen", max_length=80)
    requested_at: AwareDatetime


class _Link(Event):
    conversation_id: ConversationId
    sequence: int = Field(ge=1)
    reference: Reference
    department: DepartmentSlug
    other_conversation: ConversationId
    other_reference: Reference
    other_department: DepartmentSlug
    reason: str = Field(default="", max_length=400)
    at: AwareDatetime


class ConversationLinked(_Link):
    """A conversation belongs with another one; each department is told of its own."""

    TYPE: ClassVar[str] = "conversation.linked"


class ConversationUnlinked(_Link):
    """A conversation does not belong with the other one after all."""

    TYPE: ClassVar[str] = "conversation.unlinked"


class LinkRefused(Event):
    """A link that was not made, or not taken back, told to the department that asked."""

    TYPE: ClassVar[str] = "link.refused"

    link_id: str
    conversation_id: ConversationId
    other_reference: Reference
    from_department: DepartmentSlug
    current_department: DepartmentSlug | None = None
    why: Literal["stale", "unknown conversation", "unknown reference", "already linked", "not linked", "the same"]
    at: AwareDatetime


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


class PastMove(Model):
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
    moves: tuple[PastMove, ...] = Field(default=(), description="newest last")
    linked: tuple[Reference, ...] = ()


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
    return ConversationId(id_of(_NAMESPACE, first_contact))
