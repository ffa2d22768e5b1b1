"""Splits and links of conversations: the wishes, what their departments are told, the refusals. Pure; no I/O."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field

from parvis.common.contract.contact import ClaimCheck, ContactId, ConversationId, DepartmentSlug, Language, Reference
from parvis.common.contract.event import Event
from parvis.common.contract.routing.decisions import DueDates


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


class ConversationOpened(DueDates, Event):
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


class _LinkChange(Event):
    conversation_id: ConversationId
    sequence: int = Field(ge=1)
    reference: Reference
    department: DepartmentSlug
    other_conversation: ConversationId
    other_reference: Reference
    other_department: DepartmentSlug
    reason: str = Field(default="", max_length=400)
    at: AwareDatetime


class ConversationLinked(_LinkChange):
    """A conversation belongs with another one; each department is told of its own."""

    TYPE: ClassVar[str] = "conversation.linked"


class ConversationUnlinked(_LinkChange):
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
