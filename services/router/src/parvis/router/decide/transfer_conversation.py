"""A wish to transfer and the locked conversation in, what is told to both departments out. Pure; no I/O."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from parvis.common.contract.contact import TRIAGE, ClaimCheck
from parvis.common.contract.routing.decisions import DueDates
from parvis.common.contract.routing.history import PastMove
from parvis.common.contract.routing.transfer import (
    ConversationArrived,
    ConversationLeft,
    IncompleteTransfer,
    TransferRefused,
    TransferRequested,
)
from parvis.common.town.models import TownConfig, localized
from parvis.router.decide.conversation_history import ConversationHistory, encode_last_source
from parvis.router.decide.deadlines import TownCalendar
from parvis.router.decide.request_rows import decision_id, due_dates_after_transfer, refusal_row, step_row
from parvis.router.models.stored_rows import Conversation, DecisionRow

# A conversation that goes to and fro between two departments belongs to neither of them, or to both: people must say.
_MOST_MOVES_OF_TWO = 2
_NO_DATES = DueDates()

TransferRefusalReason = Literal["stale", "unknown conversation", "unknown department", "already there"]


def transfer_refusal_reason(
    wish: TransferRequested, conversation: Conversation | None, town_config: TownConfig
) -> TransferRefusalReason | None:
    """Why the wish is refused; none when it is done."""
    if conversation is None:
        return "unknown conversation"
    if wish.to_department not in town_config.departments:
        return "unknown department"
    if conversation.department != wish.from_department:
        return "stale"
    return "already there" if town_config.current_department(wish.to_department) == conversation.department else None


def refuse_transfer(
    wish: TransferRequested, conversation: Conversation | None, why: TransferRefusalReason, *, at: datetime
) -> DecisionRow:
    """Nothing moves; the department that asked is told where the conversation is."""
    refused = TransferRefused(
        transfer_id=wish.transfer_id,
        conversation_id=wish.conversation_id,
        from_department=wish.from_department,
        to_department=wish.to_department,
        current_department=conversation.department if conversation else None,
        why=why,
        at=at,
    )
    return refusal_row(decision_id(wish), conversation, refused, at)


def transfer_conversation(
    wish: TransferRequested,
    conversation: Conversation,
    past: ConversationHistory,
    town_config: TownConfig,
    calendar: TownCalendar,
    *,
    history: ClaimCheck | None,
    at: datetime,
) -> DecisionRow:
    """Do one transfer. It takes one number; `left` and `arrived` both carry it.

    Needs: the conversation's row locked and the wish not to be refused; its department and sequence are changed here.
    Loops: the third move between the same two departments ends in triage, with the reason; what triage decides stands.
    """
    wanted = town_config.current_department(wish.to_department)
    stopped = _stopped(wish.from_department, wanted, past, town_config)
    to = TRIAGE if stopped else wanted
    new = due_dates_after_transfer(
        wish.from_department, to, conversation.procedure, town_config, calendar,
        received_at=conversation.opened_at, at=at,
    )  # fmt: skip
    conversation.sequence += 1
    conversation.department = to
    told = ConversationArrived(
        conversation_id=wish.conversation_id,
        sequence=conversation.sequence,
        reference=conversation.reference,
        from_department=wish.from_department,
        to_department=to,
        reason=wish.reason,
        stopped=stopped,
        history=history,
        procedure=conversation.procedure,
        language=past.language,
        body=town_config.body_of(to),
        received_at=conversation.opened_at,
        at=at,
        **(new or _NO_DATES).model_dump(),
    )
    return step_row(decision_id(wish), "transfer", conversation, told, at, came=encode_last_source(past.contacts))


def left_event(arrived: ConversationArrived) -> ConversationLeft:
    """The other half of a transfer, for the department that had the conversation."""
    return ConversationLeft.model_validate(arrived.model_dump())


def _stopped(
    came_from: str, wanted: str, past: ConversationHistory, town_config: TownConfig
) -> IncompleteTransfer | None:
    if TRIAGE in (came_from, wanted):
        return None
    pair = {came_from, wanted}
    moves = sum({move.from_department, move.to_department} == pair for move in _since_triage(past.moves))
    if moves < _MOST_MOVES_OF_TWO:
        return None
    one, other = (town_config.departments[slug].name for slug in (came_from, wanted))
    return IncompleteTransfer(wanted_department=wanted, why=_to_and_fro(one, other))


def _since_triage(moves: Iterable[PastMove]) -> list[PastMove]:
    """The moves since people last placed it: what they said begins anew."""
    since: list[PastMove] = []
    for move in moves:
        since = [] if TRIAGE in (move.from_department, move.to_department) else [*since, move]
    return since


def _to_and_fro(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    return {
        "fr": f"Cet échange est allé et venu entre « {localized(one, 'fr')} » et « {localized(other, 'fr')} » : une personne de l'accueil décide.",
        "en": f"This conversation has gone to and fro between “{localized(one, 'en')}” and “{localized(other, 'en')}”: a person at the reception decides.",
    }
