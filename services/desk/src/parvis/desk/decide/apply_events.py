"""Applies contacts, transfers and deliveries from Kafka to a case; applying an event twice changes nothing. No I/O."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.delivery import DeliveryUpdated, is_late_bounce, is_later_stage, outranks
from parvis.common.contract.routing.decisions import ContactRouted, DueDates, Routing
from parvis.common.contract.routing.transfer import ConversationArrived, ConversationLeft, TransferRefused
from parvis.common.town.models import TownConfig
from parvis.desk.decide.case_updated import build_case_updated
from parvis.desk.decide.place_of_contact import find_place
from parvis.desk.models.case import (
    ANSWER_KINDS,
    FAILED_DELIVERY_STATES,
    NO_DATE,
    URGENCY_RANKS,
    Case,
    CaseActionRecord,
    CaseChanges,
    CaseContactRecord,
    CaseRow,
    DeliveryStatus,
    DepartmentMove,
    TransferOutcome,
)
from parvis.web.format_form_answers import format_answers

_SNIPPET = 140


def apply_contact(
    case: Case, event: ContactRouted, routed: bytes, town_config: TownConfig, at: datetime
) -> CaseChanges:
    """Add a new contact to the case; it reopens the case, unless a machine sent it, or it only thanks for a closed one."""
    routing, contact = event.routing, event.contact
    row = CaseContactRecord(
        contact.contact_id, case.conversation_id, routing.sequence, contact.reference, routing.decided_at, routed
    )
    updated = update_department(case, routing.department, routing.sequence)
    if case.contacts == 0 or routing.sequence == 1:
        updated = _describe_by_first_contact(updated, event)
    updated = replace(
        updated,
        contacts=case.contacts + 1,
        reference=routing.reference,
        snippet=make_snippet(contact, town_config),
        citizen=shorten(contact.personal.display_name) or case.citizen,
        procedure=case.procedure or routing.procedure,
        urgency=min(case.urgency, URGENCY_RANKS[routing.urgency]),
        tags=list(dict.fromkeys([*case.tags, *routing.tags])),
    )
    updated = add_place(updated, contact, town_config)
    if contact.machine is not None or (routing.only_thanks and case.state == "closed"):
        return _with_case_updated(case, updated, [row], town_config, at)
    updated, actions = _reopen(
        _bring_due_dates_forward(replace(updated, snoozed_until=None), routing),
        "reopened_by_citizen",
        contact.contact_id,
        at,
    )
    return _with_case_updated(case, updated, [row, *actions], town_config, at)


def add_place(case: Case, contact: ContactReceived, town_config: TownConfig) -> Case:
    """Say which place the case reports, if a contact names one and none before it did."""
    place = find_place(contact, town_config)
    is_known = case.place is not None or case.latitude is not None
    return case if is_known else replace(case, place=place.address, latitude=place.latitude, longitude=place.longitude)


def _describe_by_first_contact(case: Case, event: ContactRouted) -> Case:
    routing, contact = event.routing, event.contact
    described = replace(
        case,
        subject=make_title(contact) or case.subject,
        channel=contact.channel,
        received_at=routing.received_at,
    )
    if case.competent_at is not None:
        return described
    return replace(
        described,
        receipt_due_at=routing.receipt_due_at,
        silence_at=routing.silence_at,
        silence_means=routing.silence_means,
    )


def make_title(contact: ContactReceived) -> str:
    """The subject of a contact or the beginning of its text; nothing for what the machine could not read."""
    return "" if _is_noise(contact) else shorten(contact.personal.subject or contact.personal.text)


def _is_noise(contact: ContactReceived) -> bool:
    return contact.channel == "post" and contact.unreadable is not None


def _bring_due_dates_forward(case: Case, routing: Routing) -> Case:
    """The earlier of the case's and the contact's due dates; for contacts from before a transfer to another body, that body's dates hold."""
    if case.competent_at is not None and routing.received_at <= case.competent_at:
        return case
    return replace(
        case,
        answer_due_at=min(case.answer_due_at, routing.answer_due_at or NO_DATE),
        escalate_at=min(case.escalate_at, routing.escalate_at or NO_DATE),
    )


def apply_department_change(
    case: Case, event: ConversationArrived | ConversationLeft, town_config: TownConfig, at: datetime
) -> CaseChanges:
    """Apply a change of department; both departments' topics carry it under one sequence number."""
    arrived = event if isinstance(event, ConversationArrived) else None
    stopped, history = event.stopped, arrived.history if arrived else None
    row = DepartmentMove(
        case.conversation_id, event.sequence, event.from_department, event.to_department, event.reason, event.at,
        stopped=stopped.model_dump() if stopped else None, history=history.model_dump() if history else None,
    )  # fmt: skip
    wanted = stopped.wanted_department if stopped else event.to_department
    updated = update_department(replace(case, reference=event.reference), event.to_department, event.sequence)
    if updated.department != case.department:
        updated = replace(updated, state="open")
    if arrived and arrived.sequence >= updated.department_sequence:
        updated = adopt_due_dates(updated, arrived)
    rows = [row, TransferOutcome(case.conversation_id, wanted, "done")]
    if updated == case:  # read again, or older than what is known
        return CaseChanges(updated, rows)
    return _with_case_updated(case, updated, rows, town_config, at)


def apply_transfer_refusal(event: TransferRefused) -> TransferOutcome:
    return TransferOutcome(event.conversation_id, event.to_department, "refused", event.transfer_id, event.why)


def apply_delivery(
    case: Case | None, event: DeliveryUpdated, known: DeliveryStatus | None, town_config: TownConfig, at: datetime
) -> CaseChanges:
    """Apply a delivery status if it supersedes the known one. An undelivered reply reopens its case, because an agent has to act."""
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
        stage=event.stage,
    )
    if case is None or event.kind not in ANSWER_KINDS:
        return CaseChanges(rows=[row])
    if event.state == "delivered":
        return _with_case_updated(case, replace(case, undelivered=False), [row], town_config, at)
    if event.state not in FAILED_DELIVERY_STATES or event.moves_to:
        return _with_case_updated(case, case, [row], town_config, at)
    updated, actions = _reopen(replace(case, undelivered=True), "reopened_undelivered", event.delivery_id, at)
    return _with_case_updated(case, updated, [row, *actions], town_config, at)


def _supersedes(event: DeliveryUpdated, known: DeliveryStatus) -> bool:
    if event.state == known.state:
        return is_later_stage(event.stage, known.stage)
    failed = event if event.state == "undelivered" else known
    return outranks(event.state, known.state, came_back=is_late_bounce(failed.channel, failed.failure_class))


def shorten(text: str) -> str:
    """The beginning of a text, for a row of the queue."""
    words = " ".join(text[: _SNIPPET * 4].replace("\x00", " ").split())
    return words if len(words) <= _SNIPPET else f"{words[: _SNIPPET - 1].rstrip()}…"


def adopt_due_dates(case: Case, due: DueDates) -> Case:
    """Replace the town's due dates by those of another competent body."""
    if due.competent_received_at is None:
        return case
    return replace(
        case,
        competent_at=due.competent_received_at,
        receipt_due_at=due.receipt_due_at,
        answer_due_at=due.answer_due_at or NO_DATE,
        escalate_at=due.escalate_at or NO_DATE,
        silence_at=due.silence_at,
        silence_means=due.silence_means,
    )


def make_snippet(contact: ContactReceived, town_config: TownConfig) -> str:
    """The contact's text for the queue: a form's answers without their questions; nothing for a scan with a subject."""
    personal = contact.personal
    if _is_noise(contact) or (contact.channel == "post" and personal.subject):
        return ""
    answers = format_answers(
        town_config, contact.procedure, personal.answers, town_config.town.supported_language(contact.language)
    )
    longest_first = sorted((answer for _, answer in answers), key=len, reverse=True)
    return shorten(" · ".join(longest_first)) if answers else shorten(personal.text)


def update_department(case: Case, department: str, sequence: int) -> Case:
    """Set the case's department if the sequence number is higher than the last one; no agent of the new one has it yet."""
    if sequence <= case.department_sequence:
        return case
    if department == case.department:
        return replace(case, department_sequence=sequence)
    return replace(case, department_sequence=sequence, department=department, taken_by=None, snoozed_until=None)


def _reopen(case: Case, kind: str, cause: str, at: datetime) -> tuple[Case, list[CaseActionRecord]]:
    if case.state == "open":
        return case, []
    act = uuid.uuid5(uuid.UUID(case.conversation_id), f"{kind}:{cause}")
    return replace(case, state="open"), [CaseActionRecord(str(act), case.conversation_id, kind, "", "", at)]


def _with_case_updated(
    before: Case, after: Case, rows: Sequence[CaseRow], town_config: TownConfig, at: datetime
) -> CaseChanges:
    """The changes, with `case.updated` if the first contact, the state or the department is new."""
    after = replace(after, changed_at=at)
    is_first = before.contacts == 0 and after.contacts > 0
    is_news = is_first or (after.state, after.department) != (before.state, before.department)
    return CaseChanges(after, rows, [build_case_updated(after, town_config, at)] if is_news else [])
