"""Defines the events about splitting and linking conversations: requests, results and refusals. Pure; no I/O."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field

from parvis.common.contract.contact import ClaimCheck, ContactId, ConversationId, DepartmentSlug, Language, Reference
from parvis.common.contract.event_base import Event
from parvis.common.contract.routing.decisions import DueDates


class SplitRequested(Event):
    """A request to move contacts that are about something else into a conversation of their own."""

    TYPE: ClassVar[str] = "split.requested"

    split_id: str = Field(
        description="id of the request, the same if it is repeated; the new conversation's id is derived from it"
    )
    conversation_id: ConversationId
    contact_ids: tuple[ContactId, ...] = Field(min_length=1, max_length=200, description="contacts to move out")
    from_department: DepartmentSlug = Field(
        description="department that the sender believes to be the current one; refused if it is not"
    )
    to_department: DepartmentSlug = Field(description="department of the new conversation")
    reason: str = Field(max_length=400)
    requested_by: str = Field(description="account of the agent", max_length=80)
    requested_at: AwareDatetime


class ConversationSplit(Event):
    """Contacts were moved out into a new conversation; sent to the department that keeps the rest."""

    TYPE: ClassVar[str] = "conversation.split"

    conversation_id: ConversationId
    sequence: int = Field(ge=1)
    reference: Reference
    department: DepartmentSlug
    contact_ids: tuple[ContactId, ...] = Field(description="contacts that moved out")
    into_conversation: ConversationId
    into_reference: Reference
    into_department: DepartmentSlug
    reason: str = Field(max_length=400)
    at: AwareDatetime


class ConversationOpened(DueDates, Event):
    """A conversation was made of contacts of another one; sent to the department of the new one."""

    TYPE: ClassVar[str] = "conversation.opened"

    conversation_id: ConversationId
    sequence: int = Field(ge=1)
    reference: Reference
    department: DepartmentSlug
    contact_ids: tuple[ContactId, ...] = Field(description="contacts that moved in, oldest first")
    out_of_conversation: ConversationId
    out_of_reference: Reference
    from_department: DepartmentSlug
    reason: str = Field(max_length=400)
    history: ClaimCheck | None = Field(default=None, description="a History with the contacts that moved in")
    procedure: str | None = None
    language: Language | None = None
    body: str | None = Field(default=None, description="competent public body; null for the town itself")
    received_at: AwareDatetime = Field(description="`received_at` of the oldest contact that moved in; never changes")
    at: AwareDatetime


class SplitRefused(Event):
    """A split was refused; sent to the department that requested it."""

    TYPE: ClassVar[str] = "split.refused"

    split_id: str
    conversation_id: ConversationId
    from_department: DepartmentSlug
    to_department: DepartmentSlug
    current_department: DepartmentSlug | None = None
    why: Literal["stale", "unknown conversation", "unknown department", "unknown contact", "nothing would stay"]
    at: AwareDatetime


class LinkRequested(Event):
    """A request to link two conversations that belong together, or to undo it."""

    TYPE: ClassVar[str] = "link.requested"

    link_id: str = Field(description="id of the request, the same if it is repeated")
    conversation_id: ConversationId
    other_reference: Reference = Field(description="reference of the other conversation")
    wanted: Literal["linked", "unlinked"] = "linked"
    from_department: DepartmentSlug = Field(
        description="department that the sender believes to be the current one; refused if it is not"
    )
    reason: str = Field(default="", max_length=400)
    requested_by: str = Field(description="account of the agent", max_length=80)
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
    """A conversation was linked to another one; sent to the department of each."""

    TYPE: ClassVar[str] = "conversation.linked"


class ConversationUnlinked(_LinkChange):
    """A link was undone; sent to the department of each conversation."""

    TYPE: ClassVar[str] = "conversation.unlinked"


class LinkRefused(Event):
    """A link, or its undoing, was refused; sent to the department that requested it."""

    TYPE: ClassVar[str] = "link.refused"

    link_id: str
    conversation_id: ConversationId
    other_reference: Reference
    from_department: DepartmentSlug
    current_department: DepartmentSlug | None = None
    why: Literal["stale", "unknown conversation", "unknown reference", "already linked", "not linked", "the same"]
    at: AwareDatetime
