"""Applies splits and links from Kafka to cases; applying an event twice changes nothing. No I/O."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from parvis.common.contract.routing.split_and_link import (
    ConversationLinked,
    ConversationOpened,
    ConversationSplit,
    ConversationUnlinked,
    LinkRefused,
    SplitRefused,
)
from parvis.common.town.models import TownConfig
from parvis.desk.decide.apply_events import add_place, make_snippet, make_title, shorten, update_department
from parvis.desk.decide.case_updated import build_case_updated
from parvis.desk.models.case import (
    NO_DATE,
    URGENCY_RANKS,
    Case,
    CaseActionRecord,
    CaseChanges,
    CaseContact,
    CaseRelation,
    SplitPlacement,
)


def apply_split(case: Case, event: ConversationSplit) -> CaseChanges:
    """Apply a split to the case that keeps the rest; its contacts move as soon as either of the two events arrives."""
    row = CaseRelation(
        conversation_id=case.conversation_id,
        sequence=event.sequence,
        kind="split",
        other_conversation=event.into_conversation,
        other_reference=event.into_reference,
        other_department=event.into_department,
        contacts=len(event.contact_ids),
        reason=event.reason,
        at=event.at,
    )
    return CaseChanges(
        rows=[row, *(_placement(contact, event.into_conversation, event.at) for contact in event.contact_ids)]
    )


def apply_opening(case: Case, event: ConversationOpened, town_config: TownConfig, at: datetime) -> CaseChanges:
    """Apply the opening of a case by a split; its contacts may have arrived already or arrive later."""
    row = CaseRelation(
        conversation_id=case.conversation_id,
        sequence=event.sequence,
        kind="opened",
        other_conversation=event.out_of_conversation,
        other_reference=event.out_of_reference,
        other_department=event.from_department,
        contacts=len(event.contact_ids),
        reason=event.reason,
        at=event.at,
        history=event.history.model_dump() if event.history else None,
    )
    opened = replace(
        update_department(case, event.department, event.sequence),
        reference=event.reference,
        received_at=event.received_at,
        procedure=case.procedure or event.procedure,
        receipt_due_at=event.receipt_due_at,
        competent_at=event.competent_received_at,
        answer_due_at=min(case.answer_due_at, event.answer_due_at or NO_DATE),
        escalate_at=min(case.escalate_at, event.escalate_at or NO_DATE),
        silence_at=event.silence_at,
        silence_means=event.silence_means,
    )
    rows = [row, *(_placement(contact, case.conversation_id, event.at) for contact in event.contact_ids)]
    if case.department_sequence > 0:
        return CaseChanges(opened, rows)
    opened = replace(opened, changed_at=at)
    return CaseChanges(opened, rows, [build_case_updated(opened, town_config, at)])


def apply_link(case: Case, event: ConversationLinked | ConversationUnlinked) -> CaseChanges:
    """Record that the case is linked to another one, or no longer."""
    row = CaseRelation(
        conversation_id=case.conversation_id,
        sequence=event.sequence,
        kind="linked" if isinstance(event, ConversationLinked) else "unlinked",
        other_conversation=event.other_conversation,
        other_reference=event.other_reference,
        other_department=event.other_department,
        contacts=0,
        reason=event.reason,
        at=event.at,
    )
    return CaseChanges(rows=[row])


def apply_refusal(event: SplitRefused | LinkRefused) -> CaseChanges:
    """Record a refused request, so that the agent sees why."""
    kind, name = ("split", event.split_id) if isinstance(event, SplitRefused) else ("link", event.link_id)
    act = uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}-refused:{event.conversation_id}:{name}")
    why = event.why.replace(" ", "-")
    return CaseChanges(rows=[CaseActionRecord(str(act), event.conversation_id, f"{kind}_refused", "", why, event.at)])


def summarize_contacts(case: Case, contacts: Sequence[CaseContact], town_config: TownConfig) -> Case:
    """Recompute what the queue shows of a case, after contacts were moved from or to it."""
    if not contacts:
        return replace(case, contacts=0)
    first, last = contacts[0].contact, contacts[-1].contact
    names = (shorten(opened.contact.personal.display_name) for opened in reversed(contacts))
    case = replace(case, place=None, latitude=None, longitude=None)
    for opened in contacts:
        case = add_place(case, opened.contact, town_config)
    return replace(
        case,
        contacts=len(contacts),
        subject=make_title(first),
        channel=first.channel,
        received_at=first.received_at,
        snippet=make_snippet(last, town_config),
        citizen=next((name for name in names if name), ""),
        urgency=min(URGENCY_RANKS[opened.routing.urgency] for opened in contacts),
        tags=list(dict.fromkeys(tag for opened in contacts for tag in opened.routing.tags)),
    )


def _placement(contact: str, conversation: str, at: datetime) -> SplitPlacement:
    return SplitPlacement(contact, conversation, 1, at)
