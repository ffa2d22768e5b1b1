"""What every wish of a department needs: ids of its rows, the dates of another body, the row of a refusal. Pure; no I/O."""

from datetime import datetime
from typing import TypeAlias
from uuid import UUID, uuid5

from parvis.common.contract.event import Event
from parvis.common.contract.routing.decisions import DueDates
from parvis.common.contract.routing.split_and_link import LinkRequested, SplitRequested
from parvis.common.contract.routing.transfer import TransferRequested
from parvis.common.town.models import TownConfig
from parvis.router.decide.deadlines import TownCalendar
from parvis.router.models.stored_rows import Conversation, DecisionRow, Kind

DepartmentRequest: TypeAlias = TransferRequested | SplitRequested | LinkRequested

_NAMESPACE = UUID("9b1c3f7e-6f52-5a0e-8f51-3c5f0a7f6d10")


def decision_id(wish: DepartmentRequest) -> UUID:
    """The id of a wish's decision row: an agent's system may name its wishes as it likes."""
    match wish:
        case TransferRequested():
            return _key(wish.transfer_id)
        case SplitRequested():
            return _key(f"split:{wish.split_id}")
        case LinkRequested():
            return _key(f"link:{wish.link_id}")


def second_decision_id(key: UUID) -> UUID:
    """The id of the second row of a wish that is a step of two conversations."""
    return uuid5(key, "other")


def _key(name: str) -> UUID:
    return uuid5(_NAMESPACE, name.encode("utf-8", "replace").hex())


def step_row(
    key: UUID, kind: Kind, conversation: Conversation, told: Event, at: datetime, *, came: str | None = None
) -> DecisionRow:
    """The row of one step of a conversation; its number is the conversation's last."""
    return DecisionRow(
        id=key,
        kind=kind,
        conversation_id=conversation.id,
        sequence=conversation.sequence,
        opens=False,
        value=told.model_dump_json(exclude_none=True),
        decided_at=at,
        came=came,
    )


def refusal_row(key: UUID, conversation: Conversation | None, told: Event, at: datetime) -> DecisionRow:
    """The row of a wish that is not done: it takes no number."""
    return DecisionRow(
        id=key,
        kind="refusal",
        conversation_id=conversation.id if conversation else None,
        sequence=None,
        opens=False,
        value=told.model_dump_json(exclude_none=True),
        decided_at=at,
    )


def due_dates_after_transfer(
    came_from: str,
    wanted: str,
    procedure: str | None,
    town_config: TownConfig,
    calendar: TownCalendar,
    *,
    received_at: datetime,
    at: datetime,
) -> DueDates | None:
    """What is due when another body has become competent; none when it is the same one."""  # fmt: skip
    if town_config.body_of(came_from) == town_config.body_of(wanted):
        return None
    return due_dates(procedure, town_config, calendar, received_at=received_at, competent_at=at)


def due_dates(
    procedure: str | None,
    town_config: TownConfig,
    calendar: TownCalendar,
    *,
    received_at: datetime,
    competent_at: datetime | None = None,
) -> DueDates:
    """What is due when, for what was received then."""
    clocks = town_config.legal_deadlines(procedure)
    due = calendar.compute_deadlines(received_at, clocks, competent_at=competent_at)
    return DueDates(
        competent_received_at=competent_at,
        receipt_due_at=due.receipt_at,
        answer_due_at=due.answer_at,
        escalate_at=due.escalate_at,
        silence_at=due.silence_at,
        silence_means=clocks.silence_means if due.silence_at else None,
    )
