"""Defines the events about transferring a conversation: request, arrival, departure and refusal. Pure; no I/O."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field

from parvis.common.contract.contact import ClaimCheck, ConversationId, DepartmentSlug, Language, Reference
from parvis.common.contract.event_base import Event, Model
from parvis.common.contract.routing.decisions import DueDates


class DivertedTransfer(Model):
    """Why a transfer ended in another department than requested, so that people decide."""

    wanted_department: DepartmentSlug
    why: dict[str, str] = Field(description="one plain sentence per language, for the agent")


class ConversationArrived(DueDates, Event):
    """A conversation was transferred to this department. The deadlines are new if another public body became competent."""

    TYPE: ClassVar[str] = "conversation.arrived"

    conversation_id: ConversationId
    sequence: int = Field(ge=1)
    reference: Reference
    from_department: DepartmentSlug
    to_department: DepartmentSlug
    reason: str = Field(max_length=400)
    stopped: DivertedTransfer | None = Field(
        default=None, description="set if the transfer ended elsewhere than requested"
    )
    history: ClaimCheck | None = Field(default=None, description="a History of the conversation")
    procedure: str | None = None
    language: Language | None = Field(
        default=None, description="language in which the citizen last wrote; null if unknown"
    )
    body: str | None = Field(default=None, description="competent public body; null for the town itself")
    received_at: AwareDatetime | None = Field(
        default=None, description="`received_at` of the first contact; never changes"
    )
    at: AwareDatetime


class ConversationLeft(Event):
    """A conversation was transferred away: the department must not answer it any more."""

    TYPE: ClassVar[str] = "conversation.left"

    conversation_id: ConversationId
    sequence: int = Field(ge=1)
    reference: Reference
    from_department: DepartmentSlug
    to_department: DepartmentSlug
    reason: str = Field(max_length=400)
    stopped: DivertedTransfer | None = Field(
        default=None, description="set if the transfer ended elsewhere than requested"
    )
    at: AwareDatetime


class TransferRequested(Event):
    """A request to transfer a conversation to another department."""

    TYPE: ClassVar[str] = "transfer.requested"

    transfer_id: str = Field(description="id of the request, the same if it is repeated")
    conversation_id: ConversationId
    from_department: DepartmentSlug = Field(
        description="department that the sender believes to be the current one; refused if it is not"
    )
    to_department: DepartmentSlug
    reason: str = Field(max_length=400)
    requested_by: str = Field(description="account of the agent", max_length=80)
    requested_at: AwareDatetime


class TransferRefused(Event):
    """A transfer was refused; sent to the department that requested it."""

    TYPE: ClassVar[str] = "transfer.refused"

    transfer_id: str
    conversation_id: ConversationId
    from_department: DepartmentSlug
    to_department: DepartmentSlug
    current_department: DepartmentSlug | None = None
    why: Literal["stale", "unknown conversation", "unknown department", "already there"]
    at: AwareDatetime
