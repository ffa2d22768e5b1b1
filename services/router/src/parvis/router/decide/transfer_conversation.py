"""Transfers a conversation to another department, or refuses to. Pure; no I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Literal

from parvis.common.contract.contact import TRIAGE, ClaimCheck
from parvis.common.contract.routing.conversation_history import PastTransfer
from parvis.common.contract.routing.decisions import DueDates
from parvis.common.contract.routing.transfer import (
    ConversationArrived,
    ConversationLeft,
    DivertedTransfer,
    TransferRefused,
    TransferRequested,
)
from parvis.common.town.models import TownConfig, localized
from parvis.router.decide.assignment_context import AssignmentContext
from parvis.router.decide.conversation_history import ConversationHistory, encode_last_source
from parvis.router.decide.department_request_rows import (
    decision_id,
    due_dates_after_transfer,
    move_refusal_reason,
    refusal_row,
    step_row,
)
from parvis.router.models.stored_rows import Conversation, DecisionRow

# A conversation that bounces between two departments belongs to neither or to both: a person must decide.
_MOST_MOVES_OF_TWO = 2
_NO_DATES = DueDates()

TransferRefusalReason = Literal["stale", "unknown conversation", "unknown department", "already there"]


def transfer_refusal_reason(
    request: TransferRequested, conversation: Conversation | None, town_config: TownConfig
) -> TransferRefusalReason | None:
    """Why the request is refused; None when it is carried out."""
    if reason := move_refusal_reason(request, conversation, town_config):
        return reason
    to = town_config.current_department(request.to_department)
    return "already there" if to == request.from_department else None


def refuse_transfer(
    request: TransferRequested, conversation: Conversation | None, why: TransferRefusalReason, *, at: datetime
) -> DecisionRow:
    """The refusal, for the requesting department; it names the conversation's current department."""
    refused = TransferRefused(
        transfer_id=request.transfer_id,
        conversation_id=request.conversation_id,
        from_department=request.from_department,
        to_department=request.to_department,
        current_department=conversation.department if conversation else None,
        why=why,
        at=at,
    )
    return refusal_row(decision_id(request), conversation, refused, at)


def transfer_conversation(
    request: TransferRequested,
    conversation: Conversation,
    past: ConversationHistory,
    context: AssignmentContext,
    *,
    history: ClaimCheck | None,
    at: datetime,
) -> tuple[DecisionRow, Conversation]:
    """Transfer a conversation; returns the decision row and the conversation's new state.

    One sequence number; `conversation.left` and `conversation.arrived` both carry it.

    Needs: the conversation's row locked, and no reason to refuse.
    Loops: the third move between the same two departments ends in triage, with the reason; triage's decision is final.
    """
    town_config = context.town_config
    wanted = town_config.current_department(request.to_department)
    stopped = _detect_loop(request.from_department, wanted, past, town_config)
    to = TRIAGE if stopped else wanted
    new_dates = due_dates_after_transfer(
        request.from_department, to, conversation.procedure, context,
        received_at=conversation.opened_at, at=at,
    )  # fmt: skip
    moved = replace(conversation, sequence=conversation.sequence + 1, department=to)
    event = ConversationArrived(
        conversation_id=request.conversation_id,
        sequence=moved.sequence,
        reference=conversation.reference,
        from_department=request.from_department,
        to_department=to,
        reason=request.reason,
        stopped=stopped,
        history=history,
        procedure=conversation.procedure,
        language=past.language,
        body=town_config.body_of(to),
        received_at=conversation.opened_at,
        at=at,
        **(new_dates or _NO_DATES).model_dump(),
    )
    return step_row(decision_id(request), "transfer", moved, event, at, source=encode_last_source(past.contacts)), moved


def left_event(arrived: ConversationArrived) -> ConversationLeft:
    """The event for the previous department, with the same content."""
    return ConversationLeft.model_validate(arrived.model_dump())


def _detect_loop(
    from_department: str, wanted: str, past: ConversationHistory, town_config: TownConfig
) -> DivertedTransfer | None:
    if TRIAGE in (from_department, wanted):
        return None
    pair = {from_department, wanted}
    moves = sum({move.from_department, move.to_department} == pair for move in _since_triage(past.moves))
    if moves < _MOST_MOVES_OF_TWO:
        return None
    first, second = (town_config.departments[slug].name for slug in (from_department, wanted))
    return DivertedTransfer(wanted_department=wanted, why=_loop_reason(first, second))


def _since_triage(moves: Iterable[PastTransfer]) -> list[PastTransfer]:
    """The moves since triage last had the conversation: a decision of triage resets the count."""
    since: list[PastTransfer] = []
    for move in moves:
        since = [] if TRIAGE in (move.from_department, move.to_department) else [*since, move]
    return since


def _loop_reason(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, str]:
    return {
        "fr": f"Cet échange est allé et venu entre « {localized(first, 'fr')} » et « {localized(second, 'fr')} » : une personne de l'accueil décide.",
        "en": f"This conversation has gone to and fro between “{localized(first, 'en')}” and “{localized(second, 'en')}”: a person at the reception decides.",
    }
