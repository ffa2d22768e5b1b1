"""Applies contacts, transfers and deliveries from Kafka to a case; applying an event twice changes nothing. No I/O."""

import uuid
from datetime import datetime

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.delivery import DeliveryUpdated, is_late_bounce, outranks
from parvis.common.contract.routing.decisions import ContactRouted, DueDates
from parvis.common.contract.routing.transfer import ConversationArrived, ConversationLeft, TransferRefused
from parvis.common.town.models import TownConfig
from parvis.desk.decide.case_updated import build_case_updated
from parvis.desk.models.case import (
    ANSWER_KINDS,
    FAILED_DELIVERY_STATES,
    NO_DATE,
    URGENCY_RANKS,
    Case,
    CaseAction,
    CaseChanges,
    CaseContactRecord,
    DeliveryStatus,
    DepartmentMove,
    TransferOutcome,
)
from parvis.web.form_answers import format_answers

_SNIPPET = 140


def apply_contact(
    case: Case, event: ContactRouted, routed: bytes, town_config: TownConfig, at: datetime
) -> CaseChanges:
    """Add a new contact to the case; it reopens the case, unless a machine sent it."""
    routing, contact = event.routing, event.contact
    row = CaseContactRecord(
        contact.contact_id, case.conversation_id, routing.sequence, contact.reference, routing.decided_at, routed
    )
    changes = CaseChanges(records=[row])
    was = (case.state, case.department, case.contacts)
    update_department(case, routing.department, routing.sequence)
    if case.contacts == 0 or routing.sequence == 1:
        case.subject = shorten(contact.personal.subject or contact.personal.text) or case.subject
        case.channel = contact.channel
        case.received_at = routing.received_at
        if case.competent_at is None:
            case.receipt_due_at = routing.receipt_due_at
            case.silence_at, case.silence_means = routing.silence_at, routing.silence_means
    case.contacts += 1
    case.reference = routing.reference
    case.snippet = make_snippet(contact, town_config)
    case.citizen = shorten(contact.personal.display_name) or case.citizen
    case.procedure = case.procedure or routing.procedure
    case.urgency = min(case.urgency, URGENCY_RANKS[routing.urgency])
    case.tags = list(dict.fromkeys([*case.tags, *routing.tags]))
    if contact.machine is None:
        changes.records += _reopen(case, "reopened_by_citizen", str(contact.contact_id), at)
        # What came before another body was competent is due by that body's dates.
        if case.competent_at is None or routing.received_at > case.competent_at:
            case.answer_due_at = min(case.answer_due_at, routing.answer_due_at or NO_DATE)
            case.escalate_at = min(case.escalate_at, routing.escalate_at or NO_DATE)
    return _announce(case, was, changes, town_config, at)


def apply_department_change(
    case: Case, event: ConversationArrived | ConversationLeft, town_config: TownConfig, at: datetime
) -> CaseChanges:
    """Apply a change of department; both departments' topics carry it under one sequence number."""
    was = (case.state, case.department, case.contacts)
    arrived = event if isinstance(event, ConversationArrived) else None
    stopped, history = event.stopped, arrived.history if arrived else None
    row = DepartmentMove(
        case.conversation_id, event.sequence, event.from_department, event.to_department, event.reason, event.at,
        stopped=stopped.model_dump() if stopped else None, history=history.model_dump() if history else None,
    )  # fmt: skip
    wanted = stopped.wanted_department if stopped else event.to_department
    changes = CaseChanges(records=[row, TransferOutcome(case.conversation_id, wanted, "done")])
    case.reference = event.reference
    if update_department(case, event.to_department, event.sequence) and case.state != "open":
        case.state = "open"
    if arrived and arrived.sequence >= case.department_sequence:
        adopt_due_dates(case, arrived)
    return _announce(case, was, changes, town_config, at)


def apply_transfer_refusal(event: TransferRefused) -> TransferOutcome:
    return TransferOutcome(event.conversation_id, event.to_department, "refused", event.transfer_id, event.why)


def apply_delivery(
    case: Case | None, event: DeliveryUpdated, known: DeliveryStatus | None, town_config: TownConfig, at: datetime
) -> CaseChanges:
    """Apply a delivery status, if it supersedes the known one; an undelivered reply reopens its case, for somebody has to act."""
    if known and event.attempt <= known.attempt and not _supersedes(event, known):
        return CaseChanges()
    row = DeliveryStatus(
        delivery_id=event.delivery_id,
        reply_id=event.reply_id,
        conversation_id=event.conversation_id,
        kind=event.kind,
        channel=event.channel,
        attempt=event.attempt,
        state=event.state,
        failure_class=event.failure_class,
        detail=event.detail,
        at=event.at,
    )
    changes = CaseChanges(records=[row])
    if case is None or event.kind not in ANSWER_KINDS:
        return changes
    was = (case.state, case.department, case.contacts)
    if event.state == "delivered":
        case.undelivered = False
    elif event.state in FAILED_DELIVERY_STATES and not event.moves_to:
        case.undelivered = True
        changes.records += _reopen(case, "reopened_undelivered", event.delivery_id, at)
    return _announce(case, was, changes, town_config, at)


def _supersedes(event: DeliveryUpdated, known: DeliveryStatus) -> bool:
    failed = event if event.state == "undelivered" else known
    return outranks(event.state, known.state, came_back=is_late_bounce(failed.channel, failed.failure_class))


def shorten(text: str) -> str:
    """The beginning of a text for a row of the queue."""
    words = " ".join(text[: _SNIPPET * 4].replace("\x00", " ").split())
    return words if len(words) <= _SNIPPET else f"{words[: _SNIPPET - 1].rstrip()}…"


def adopt_due_dates(case: Case, told: DueDates) -> None:
    """Replace the town's due dates by those of another competent body."""
    if told.competent_received_at is None:
        return
    case.competent_at, case.receipt_due_at = told.competent_received_at, told.receipt_due_at
    case.answer_due_at, case.escalate_at = told.answer_due_at or NO_DATE, told.escalate_at or NO_DATE
    case.silence_at, case.silence_means = told.silence_at, told.silence_means


def make_snippet(contact: ContactReceived, town_config: TownConfig) -> str:
    """The contact's text for the queue: a form's answers without their questions; nothing for a scan with a subject."""
    personal = contact.personal
    if contact.channel == "post" and personal.subject:
        return ""
    answers = format_answers(
        town_config, contact.procedure, personal.answers, town_config.town.supported_language(contact.language)
    )
    longest_first = sorted((answer for _, answer in answers), key=len, reverse=True)
    return shorten(" · ".join(longest_first)) if answers else shorten(personal.text)


def update_department(case: Case, department: str, sequence: int) -> bool:
    """Set the case's department, if this sequence number is newer than the known one. Gives: whether the department changed."""
    if sequence <= case.department_sequence:
        return False
    moved = department != case.department
    case.department_sequence = sequence
    if moved:
        case.department, case.taken_by = department, None
    return moved


def _reopen(case: Case, kind: str, cause: str, at: datetime) -> list[CaseAction]:
    if case.state == "open":
        return []
    case.state = "open"
    act = uuid.uuid5(uuid.UUID(case.conversation_id), f"{kind}:{cause}")
    return [CaseAction(str(act), case.conversation_id, kind, "", "", at)]


def _announce(
    case: Case, was: tuple[str, str, int], changes: CaseChanges, town_config: TownConfig, at: datetime
) -> CaseChanges:
    case.changed_at = at
    is_first = was[2] == 0 and case.contacts > 0
    if is_first or (case.state, case.department) != was[:2]:
        changes.events.append(build_case_updated(case, town_config, at))
    return changes
