"""Builds the decision rows of departments' requests: their ids, their steps, their refusals, new due dates. Pure; no I/O."""

from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID, uuid5

from parvis.common.contract.event_base import Event
from parvis.common.contract.routing.decisions import DueDates
from parvis.common.contract.routing.split_and_link import LinkRequested, SplitRequested
from parvis.common.contract.routing.transfer import TransferRequested
from parvis.common.town.models import TownConfig
from parvis.router.decide.assignment_context import AssignmentContext
from parvis.router.models.stored_rows import Conversation, DecisionRow, Kind

DepartmentRequest: TypeAlias = TransferRequested | SplitRequested | LinkRequested

_NAMESPACE = UUID("9b1c3f7e-6f52-5a0e-8f51-3c5f0a7f6d10")


def decision_id(request: DepartmentRequest) -> UUID:
    """The id of a request's decision row. Departments' systems choose request ids freely, so they are hashed."""
    match request:
        case TransferRequested():
            return _key(request.transfer_id)
        case SplitRequested():
            return _key(f"split:{request.split_id}")
        case LinkRequested():
            return _key(f"link:{request.link_id}")


def second_decision_id(key: UUID) -> UUID:
    """The id of the second row of a request that is a step in two conversations."""
    return uuid5(key, "other")


def _key(name: str) -> UUID:
    return uuid5(_NAMESPACE, name.encode("utf-8", "replace").hex())


def move_refusal_reason(
    request: TransferRequested | SplitRequested, conversation: Conversation | None, town_config: TownConfig
) -> Literal["unknown conversation", "unknown department", "stale"] | None:
    """Why nothing of this conversation can move from the one department to the other; None if it can."""
    if conversation is None:
        return "unknown conversation"
    if request.to_department not in town_config.departments:
        return "unknown department"
    return "stale" if conversation.department != request.from_department else None


def step_row(
    key: UUID, kind: Kind, conversation: Conversation, event: Event, at: datetime, *, source: str | None = None
) -> DecisionRow:
    """The row of one step; its number is the conversation's `sequence`."""
    return DecisionRow(
        id=key,
        kind=kind,
        conversation_id=conversation.id,
        sequence=conversation.sequence,
        opens=False,
        value=event.model_dump_json(exclude_none=True),
        decided_at=at,
        source=source,
    )


def refusal_row(key: UUID, conversation: Conversation | None, event: Event, at: datetime) -> DecisionRow:
    """The row of a refused request: it takes no number."""
    return DecisionRow(
        id=key,
        kind="refusal",
        conversation_id=conversation.id if conversation else None,
        sequence=None,
        opens=False,
        value=event.model_dump_json(exclude_none=True),
        decided_at=at,
    )


def due_dates_after_transfer(
    from_department: str,
    wanted: str,
    procedure: str | None,
    context: AssignmentContext,
    *,
    received_at: datetime,
    at: datetime,
) -> DueDates | None:
    """The due dates since another public body became competent; None if the body is the same."""  # fmt: skip
    if context.town_config.body_of(from_department) == context.town_config.body_of(wanted):
        return None
    return due_dates(procedure, context, received_at=received_at, competent_at=at)


def due_dates(
    procedure: str | None,
    context: AssignmentContext,
    *,
    received_at: datetime,
    competent_at: datetime | None = None,
) -> DueDates:
    """The due dates by the deadlines that run from the time of receipt."""
    rules = context.town_config.legal_deadlines(procedure)
    due = context.calendar.compute_deadlines(received_at, rules, competent_at=competent_at)
    return DueDates(
        competent_received_at=competent_at,
        receipt_due_at=due.receipt_at,
        answer_due_at=due.answer_at,
        escalate_at=due.escalate_at,
        silence_at=due.silence_at,
        silence_means=rules.silence_means if due.silence_at else None,
    )
