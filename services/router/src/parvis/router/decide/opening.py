"""Contacts that surely open a conversation, told from those that may continue one, and routed. Pure; no I/O."""

from datetime import datetime

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.routing.decisions import Routing, make_conversation_id
from parvis.router.decide.assignment import AssignmentContext, build_routing
from parvis.router.decide.department import Decision


def names_another(contact: ContactReceived) -> bool:
    """Whether a contact says that it belongs to something: then its conversation is looked for, and locked."""
    thread = contact.thread
    return thread.conversation_id is not None or thread.reference is not None or bool(thread.in_reply_to)


def opening(contact: ContactReceived, decision: Decision, placing: AssignmentContext, *, at: datetime) -> Routing:
    """The routing of a contact that opens a conversation: what `place` says of one when nothing is known."""
    return build_routing(
        contact, decision, placing,
        conversation=make_conversation_id(contact.contact_id, contact.received_at), reference=contact.reference, sequence=1,
        department=placing.town_config.current_department(decision.department), at=at,
    )  # fmt: skip
