"""An agent's wish to split a case, or to link it with another, in; the request to the router out. Pure; no I/O."""

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
from parvis.desk.models.case import Act, Agent, Case, Changes, Opened

_LARGEST_REASON = 400


@dataclass(frozen=True)
class Splitting:
    """What an agent wants to have in a case of its own. `once` is the same when the same form is sent again."""

    contacts: Sequence[str]
    to_department: str
    reason: str
    once: str


@dataclass(frozen=True)
class Linking:
    """The reference of the case that this one belongs with, or not any more."""

    reference: str
    once: str
    wanted: Literal["linked", "unlinked"] = "linked"


def split(
    case: Case, agent: Agent, contacts: Sequence[Opened], wish: Splitting, town_config: TownConfig, at: datetime
) -> Changes:
    """Ask the router to bring some messages into a case of their own; they leave when the router says so.

    Raises: Rejected, with the key of the sentence: no message chosen, none left, no such department, no reason.
    """
    here = [opened.contact.contact_id for opened in contacts]
    chosen = [contact for contact in here if contact in set(wish.contacts)]
    if not chosen:
        raise Rejected("no_messages")
    if len(chosen) == len(here):
        raise Rejected("all_messages")
    if (
        town_config.department(wish.to_department) is None
        or town_config.current_department(wish.to_department) != wish.to_department
    ):
        raise Rejected("no_department")
    reason = " ".join(wish.reason.split())
    if not 1 <= len(reason) <= _LARGEST_REASON:
        raise Rejected("no_reason")
    made = str(uuid.uuid5(uuid.UUID(case.conversation_id), f"split:{wish.once}"))
    requested = SplitRequested(
        split_id=made,
        conversation_id=ConversationId(case.conversation_id),
        contact_ids=tuple(ContactId(contact) for contact in chosen),
        from_department=case.department,
        to_department=wish.to_department,
        reason=reason,
        requested_by=agent.name[:80],
        requested_at=at,
    )
    return Changes(rows=[Act(made, case.conversation_id, "split_asked", agent.name, reason, at)], events=[requested])


def link(case: Case, agent: Agent, wish: Linking, at: datetime) -> Changes:
    """Ask the router to link the case with that of a reference, or to undo it.

    Raises: Rejected, with the key of the sentence: no reference, its own.
    """
    found = find_references(wish.reference)
    if not found:
        raise Rejected("no_such_reference")
    if found[0] == case.reference:
        raise Rejected("own_reference")
    made = str(uuid.uuid5(uuid.UUID(case.conversation_id), f"{wish.wanted}:{wish.once}"))
    requested = LinkRequested(
        link_id=made,
        conversation_id=ConversationId(case.conversation_id),
        other_reference=found[0],
        wanted=wish.wanted,
        from_department=case.department,
        requested_by=agent.name[:80],
        requested_at=at,
    )
    kind = "link_asked" if wish.wanted == "linked" else "unlink_asked"
    return Changes(rows=[Act(made, case.conversation_id, kind, agent.name, found[0], at)], events=[requested])
