"""Builds an agent's request to split a case or to link it to another one. Pure; no I/O."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from parvis.common.contract.contact import ContactId, ConversationId
from parvis.common.contract.errors import Rejected
from parvis.common.contract.references import find_references
from parvis.common.contract.routing.split_and_link import LinkRequested, SplitRequested
from parvis.common.town.models import TownConfig
from parvis.desk.models.case import Agent, Case, CaseActionRecord, CaseChanges, CaseContact

_MAX_REASON_LENGTH = 400


@dataclass(frozen=True)
class SplitInput:
    """The messages that an agent wants in a case of their own."""

    contacts: Sequence[str]
    to_department: str
    reason: str
    idempotency_key: str


@dataclass(frozen=True)
class LinkInput:
    """The reference of the case to link to, or to unlink from."""

    reference: str
    idempotency_key: str
    wanted: Literal["linked", "unlinked"] = "linked"


def request_split(
    case: Case,
    agent: Agent,
    contacts: Sequence[CaseContact],
    split_input: SplitInput,
    town_config: TownConfig,
    at: datetime,
) -> CaseChanges:
    """Ask the router to split some messages off; they leave when the router has done so.

    Raises: Rejected, with the key of its sentence: no message chosen, no message left, no such department, no reason.
    """
    contact_ids = [opened.contact.contact_id for opened in contacts]
    chosen = [contact for contact in contact_ids if contact in set(split_input.contacts)]
    if not chosen:
        raise Rejected("no_messages")
    if len(chosen) == len(contact_ids):
        raise Rejected("all_messages")
    if (
        town_config.department(split_input.to_department) is None
        or town_config.current_department(split_input.to_department) != split_input.to_department
    ):
        raise Rejected("no_department")
    reason = " ".join(split_input.reason.split())
    if not 1 <= len(reason) <= _MAX_REASON_LENGTH:
        raise Rejected("no_reason")
    split_id = str(uuid.uuid5(uuid.UUID(case.conversation_id), f"split:{split_input.idempotency_key}"))
    requested = SplitRequested(
        split_id=split_id,
        conversation_id=ConversationId(case.conversation_id),
        contact_ids=tuple(ContactId(contact) for contact in chosen),
        from_department=case.department,
        to_department=split_input.to_department,
        reason=reason,
        requested_by=agent.name[:80],
        requested_at=at,
    )
    return CaseChanges(
        rows=[CaseActionRecord(split_id, case.conversation_id, "split_asked", agent.name, reason, at)],
        events=[requested],
    )


def request_link(case: Case, agent: Agent, link_input: LinkInput, at: datetime) -> CaseChanges:
    """Ask the router to link the case with the one of a reference, or to remove the link.

    Raises: Rejected, with the key of its sentence: no reference, or the case's own.
    """
    references = find_references(link_input.reference)
    if not references:
        raise Rejected("no_such_reference")
    if references[0] == case.reference:
        raise Rejected("own_reference")
    link_id = str(uuid.uuid5(uuid.UUID(case.conversation_id), f"{link_input.wanted}:{link_input.idempotency_key}"))
    requested = LinkRequested(
        link_id=link_id,
        conversation_id=ConversationId(case.conversation_id),
        other_reference=references[0],
        wanted=link_input.wanted,
        from_department=case.department,
        requested_by=agent.name[:80],
        requested_at=at,
    )
    kind = "link_asked" if link_input.wanted == "linked" else "unlink_asked"
    return CaseChanges(
        rows=[CaseActionRecord(link_id, case.conversation_id, kind, agent.name, references[0], at)], events=[requested]
    )
