"""A conversation goes from one department to another: the wish, what both are told, the refusal. Pure; no I/O."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field

from parvis.common.contract.contact import ClaimCheck, ConversationId, DepartmentSlug, Language, Reference
from parvis.common.contract.event import Event, Model
from parvis.common.contract.routing.decisions import DueDates


class IncompleteTransfer(Model):
    """Why a transfer ended elsewhere than asked: people decide."""

    wanted_department: DepartmentSlug
    why: dict[str, str] = Field(description="one plain sentence per language")


class ConversationArrived(DueDates, Event):
    """A conversation was transferred here. It bears new dates when another body became competent by it."""

    TYPE: ClassVar[str] = "conversation.arrived"

    conversation_id: ConversationId
    sequence: int = Field(ge=1)
    reference: Reference
    from_department: DepartmentSlug
    to_department: DepartmentSlug
    reason: str = Field(max_length=400)
    stopped: IncompleteTransfer | None = None
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
    stopped: IncompleteTransfer | None = None
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
