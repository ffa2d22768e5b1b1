"""Models a case, its records and what an action changes in it. Data only."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.routing.decisions import CaseUpdated, Routing
from parvis.common.contract.routing.split_and_link import LinkRequested, SplitRequested
from parvis.common.contract.routing.transfer import TransferRequested

State = Literal["open", "waiting", "closed"]
STATES: tuple[State, ...] = ("open", "waiting", "closed")
NO_DATE = datetime(9999, 12, 31, tzinfo=UTC)
URGENCY_RANKS = {"immediate": 0, "high": 1, "normal": 2}  # sort order of the queue
ACTION_KINDS = (
    "taken", "released", "closed", "reopened", "reopened_by_citizen", "reopened_undelivered", "called",
    "noted", "call_noted", "withdrawn", "snoozed", "woken", "assigned", "assigned_by_turn", "returned_absent", "passed_to_deputy", "tagged", "untagged", "procedure_corrected", "urgency_corrected", "text_corrected", "undone", "split_asked", "split_refused", "link_asked", "unlink_asked", "link_refused", "wish_confirmed",
)  # fmt: skip
RELATION_KINDS = ("split", "opened", "linked", "unlinked")
TRANSFER_OUTCOMES = ("pending", "done", "refused")
SILENCE_MEANINGS = ("acceptance", "rejection", "none")
FAILED_DELIVERY_STATES = frozenset({"failed", "undelivered", "unknown"})
ANSWER_KINDS = frozenset({"answer", "question"})
IN_PERSON_CHANNELS = ("counter", "phone")
MAX_TEXT_LENGTH = 10_000
QUEUE_PAGE_SIZE = 50


@dataclass(frozen=True)
class Agent:
    """An agent, and the department that they work for. `quality`: their function, as their letters give it."""

    name: str
    department: str
    quality: str = field(default="", compare=False)
    account_id: str = field(default="", compare=False)  # for the audit trail
    is_program: bool = field(default=False, compare=False)  # a program acts for them; the account is the program's

    @property
    def signature(self) -> str:
        """First name, name and quality: whoever deals with a matter is named to the citizen (CRPA L111-2)."""
        return f"{self.name}, {self.quality}" if self.quality else self.name


@dataclass(frozen=True)
class Case:
    """A conversation assigned to a department: the one in the event with the highest sequence number."""

    conversation_id: str
    reference: str
    department: str
    received_at: datetime
    changed_at: datetime
    department_sequence: int = 0
    state: State = "open"
    taken_by: str | None = None
    procedure: str | None = None
    channel: str = ""
    subject: str = ""
    snippet: str = ""
    citizen: str = ""
    urgency: int = URGENCY_RANKS["normal"]
    contacts: int = 0
    receipt_due_at: datetime | None = None
    answer_due_at: datetime = NO_DATE
    escalate_at: datetime = NO_DATE
    silence_at: datetime | None = None
    silence_means: str | None = None
    competent_at: datetime | None = None  # when another body became competent
    tags: list[str] = field(default_factory=list[str])
    undelivered: bool = False
    snoozed_until: datetime | None = None  # until then it is not among the cases to deal with
    place: str | None = None  # street and house number of what it reports, normalised
    latitude: float | None = None  # degrees
    longitude: float | None = None

    def is_late(self, now: datetime) -> bool:
        return self.state == "open" and self.answer_due_at < now

    def is_soon_late(self, now: datetime) -> bool:
        return self.state == "open" and self.escalate_at < now <= self.answer_due_at


@dataclass(frozen=True)
class CaseContactRecord:
    """One contact of a case, with the bytes of the router's event."""

    contact_id: str
    conversation_id: str
    sequence: int
    reference: str
    at: datetime
    routed: bytes


@dataclass(frozen=True)
class CaseContact:
    """A decoded contact of a case. `moved` is its sequence number after a split moved it; `is_confirmed`: an agent confirmed its wish;
    `correction`: the text that an agent read on the picture, instead of the machine's."""

    routing: Routing
    contact: ContactReceived
    moved: int | None = None
    is_confirmed: bool = False
    correction: "CaseActionRecord | None" = None

    @property
    def number(self) -> int:
        return self.routing.sequence if self.moved is None else self.moved


@dataclass(frozen=True)
class SplitPlacement:
    """The case to which a split assigned a contact; the contact may arrive later."""

    contact_id: str
    conversation_id: str
    sequence: int
    at: datetime


@dataclass(frozen=True)
class DepartmentMove:
    conversation_id: str
    sequence: int
    from_department: str
    to_department: str
    reason: str
    at: datetime
    stopped: dict[str, Any] | None = None
    history: dict[str, Any] | None = None


@dataclass(frozen=True)
class CaseRelation:
    """A relation to another case: split off, opened by a split, linked or unlinked."""

    conversation_id: str
    sequence: int
    kind: str
    other_conversation: str
    other_reference: str
    other_department: str
    contacts: int
    reason: str
    at: datetime
    history: dict[str, Any] | None = None


@dataclass(frozen=True)
class AgentReply:
    """A reply that an agent wrote, with its recipient."""

    reply_id: str
    conversation_id: str
    agent: str
    department: str
    channel: str
    address: str
    text: str
    at: datetime
    due_at: datetime | None = None  # when it leaves: until then it can be withdrawn
    withdrawn_at: datetime | None = None
    before: dict[str, Any] | None = None  # the case's state before it, and after it: {"state", "taken_by", "then"}
    files: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])  # each an OutgoingFile, as it is stored


@dataclass(frozen=True)
class DeliveryStatus:
    """The delivery status of one reply on one channel."""

    delivery_id: str
    reply_id: str
    conversation_id: str
    kind: str
    channel: str
    attempt: int
    state: str
    failure_class: str | None
    detail: str
    at: datetime
    stage: str | None = None  # of a letter


@dataclass(frozen=True)
class TransferRecord:
    transfer_id: str
    conversation_id: str
    from_department: str
    to_department: str
    reason: str
    agent: str
    at: datetime
    outcome: str = "pending"
    why: str | None = None


@dataclass(frozen=True)
class CaseActionRecord:
    """An action on a case, by an agent or by the desk itself (agent "")."""

    act_id: str
    conversation_id: str
    kind: str
    agent: str
    text: str
    at: datetime
    contact_id: str | None = None  # of the letter whose text it corrects


@dataclass(frozen=True)
class CounterContact:
    """A contact that an agent registered, identified by department and idempotency key."""

    seed: str
    contact_id: str
    reference: str
    department: str
    agent: str
    at: datetime
    to_department: str | None = None
    case_reference: str | None = None  # of the case that the person came back for
    original: dict[str, Any] | None = None  # the claim check of the form as it was typed


@dataclass(frozen=True)
class TransferOutcome:
    """The outcome of one transfer request, or of all requests of a conversation for one department."""

    conversation_id: str
    to_department: str
    outcome: str
    transfer_id: str | None = None
    why: str | None = None


CaseRow: TypeAlias = (
    CaseContactRecord
    | SplitPlacement
    | DepartmentMove
    | CaseRelation
    | AgentReply
    | DeliveryStatus
    | TransferRecord
    | CaseActionRecord
    | CounterContact
    | TransferOutcome
)
OutgoingEvent: TypeAlias = CaseUpdated | ReplyRequested | TransferRequested | SplitRequested | LinkRequested


@dataclass(frozen=True)
class CaseChanges:
    """The result of one action or event: the case after it, and the rows and outgoing events that it adds."""

    case: Case | None = None  # None: the case stays as it is
    rows: Sequence[CaseRow] = ()
    events: Sequence[OutgoingEvent] = ()


@dataclass(frozen=True)
class CaseFile:
    """A case with all its records."""

    case: Case
    contacts: tuple[CaseContact, ...] = ()
    moves: tuple[DepartmentMove, ...] = ()
    relations: tuple[CaseRelation, ...] = ()
    replies: tuple[AgentReply, ...] = ()
    deliveries: tuple[DeliveryStatus, ...] = ()
    transfers: tuple[TransferRecord, ...] = ()
    actions: tuple[CaseActionRecord, ...] = ()
    damaged: int = 0  # records that cannot be read


@dataclass(frozen=True)
class ReplyRecipient:
    """The address of a reply: stated by the citizen, taken from their last contact, or unknown."""

    channel: str
    address: str
    source: Literal["stated", "contact", "unknown"]
