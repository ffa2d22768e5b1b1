"""Facts about several people who write in, or beside, one conversation: who joins it, and what names a person and a matter."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from parvis.common.contract.contact import (
    ContactPersonalData,
    ContactPoint,
    ContactReceived,
    ConversationIdentifiers,
    ReplyAddress,
    Verification,
)
from parvis.common.contract.find_addressee import OTHER_REPLY_TO
from parvis.common.contract.normalize_contact_points import hash_contact_point
from parvis.common.contract.routing.decisions import OTHER_PERSON, Routing
from parvis.common.testing import A_KEY, AN_INSTANT, a_contact
from parvis.common.town.loading import load_town_config
from parvis.common.town.templates import load_templates
from parvis.router.decide.assignment_context import AssignmentContext
from parvis.router.decide.conversation_assignment import AssignedContact, assign_contact
from parvis.router.decide.conversation_working_set import ConversationWindows, ConversationWorkingSet
from parvis.router.decide.deadlines import TownCalendar
from parvis.router.decide.department import decide_department
from parvis.router.fetch.rules_files import load_rules

EXAMPLE = Path(__file__).parents[3] / "config" / "example-town"
TOWN_CONFIG = load_town_config(EXAMPLE)
RULES = load_rules(EXAMPLE, TOWN_CONFIG)
CONTEXT = AssignmentContext(
    TOWN_CONFIG, TownCalendar(TOWN_CONFIG.town), ConversationWindows(), load_templates(EXAMPLE, TOWN_CONFIG), A_KEY
)
GAS = "Bonjour, forte odeur de gaz dans l'escalier de l'immeuble."


def mailed(
    key: str, *, sender: str = "v1.a", subject: str = "", text: str = "bonjour", **changes: Any
) -> ContactReceived:
    personal = ContactPersonalData.model_validate(
        {"from": ContactPoint(kind="email", value=f"{sender}@x.example"), "subject": subject, "text": text}
    )
    values: dict[str, Any] = {
        "channel": "email",
        "contact_point_hash": sender,
        "personal": personal,
        "thread": ConversationIdentifiers(message_id=f"<{key}@x.example>"),
    }
    return a_contact(key=key, **(values | changes))


def assign(known: ConversationWorkingSet, contact: ContactReceived) -> Routing:
    decision = decide_department(contact, RULES, TOWN_CONFIG)
    (outcome,) = assign_contact(contact, decision, known, CONTEXT, at=AN_INSTANT)
    assert isinstance(outcome, AssignedContact)
    return outcome.routing


def close(known: ConversationWorkingSet, routing: Routing, *, days: float) -> None:
    id_ = UUID(routing.conversation_id)
    known.conversations[id_] = replace(known.conversations[id_], closed_at=AN_INSTANT + timedelta(days=days))


def with_token(contact: ContactReceived, conversation: str) -> ContactReceived:
    thread = contact.thread.model_copy(update={"conversation_id": conversation})
    return contact.model_copy(update={"thread": thread})


def from_website(key: str, reply_to: str, **changes: Any) -> ContactReceived:
    contact = mailed(key, sender="v1.site", subject="Contact depuis le site", **changes)
    personal = contact.personal.model_copy(
        update={"reply_channels": (ReplyAddress(channel="email", address=reply_to),)}
    )
    return contact.model_copy(update={"personal": personal, "remarks": (OTHER_REPLY_TO,)})


def test_two_people_who_fill_in_the_form_of_one_website_have_two_conversations() -> None:
    known = ConversationWorkingSet()
    first = assign(known, from_website("1", "ines@people.example"))
    second = assign(known, from_website("2", "paul@people.example"))
    assert first.conversation_id != second.conversation_id
    quoting = from_website("3", "paul@people.example")
    quoting = quoting.model_copy(update={"thread": quoting.thread.model_copy(update={"reference": first.reference})})
    assert assign(known, quoting).conversation_id != first.conversation_id


def test_a_sender_and_a_subject_name_no_matter() -> None:
    known = ConversationWorkingSet()
    first = assign(known, mailed("1", subject="Signalement rue Basse"))
    again = assign(known, mailed("2", subject="Signalement rue Basse"))
    assert again.conversation_id != first.conversation_id
    forwarded = assign(known, mailed("3", subject="TR: Signalement rue Basse"))
    assert forwarded.conversation_id not in (first.conversation_id, again.conversation_id)


def test_a_danger_beats_the_subject_and_not_our_token() -> None:
    known = ConversationWorkingSet()
    lamp = assign(known, mailed("1", subject="Lampadaire éteint rue Basse"))
    gas = mailed("2", subject="Re: Lampadaire éteint rue Basse", text=GAS)
    apart = assign(known, gas)
    assert (apart.conversation_id != lamp.conversation_id, apart.department) == (True, "police-municipale")
    joined = assign(known, with_token(mailed("3", text=GAS), lamp.conversation_id))
    assert joined.conversation_id == lamp.conversation_id
    assert joined.suggestion is not None


def test_another_person_who_holds_our_token_joins_and_is_marked() -> None:
    known = ConversationWorkingSet()
    first = assign(known, mailed("1"))
    own = assign(known, with_token(mailed("2"), first.conversation_id))
    assert own.matched == ("token",)
    other = assign(known, with_token(mailed("3", sender="v1.b"), first.conversation_id))
    assert (other.conversation_id, other.matched) == (first.conversation_id, ("token", OTHER_PERSON))


def test_staff_who_name_a_conversation_are_no_other_person() -> None:
    known = ConversationWorkingSet()
    first = assign(known, mailed("1"))
    seen = with_token(mailed("2", sender="v1.b"), first.conversation_id)
    seen = seen.model_copy(update={"sender": Verification(level="staff"), "channel": "counter"})
    assert assign(known, seen).matched == ("staff",)


def test_whoever_we_answered_at_the_reply_to_is_a_participant() -> None:
    known = ConversationWorkingSet()
    first = assign(known, from_website("1", "ines@people.example"))
    ines = hash_contact_point(ContactPoint(kind="email", value="ines@people.example"), A_KEY)
    reply = assign(known, with_token(mailed("2", sender=ines), first.conversation_id))
    assert (reply.conversation_id, reply.matched) == (first.conversation_id, ("token",))


def test_a_strangers_conversation_never_follows_a_closed_one() -> None:
    known = ConversationWorkingSet()
    first = assign(known, mailed("1"))
    close(known, first, days=-90)
    stranger = assign(known, with_token(mailed("2", sender="v1.b"), first.conversation_id))
    assert (stranger.sequence, stranger.linked_to) == (1, None)
    own = assign(known, with_token(mailed("3"), first.conversation_id))
    assert own.conversation_id not in (first.conversation_id, stranger.conversation_id)
    assert known.conversations[UUID(own.conversation_id)].linked_to == UUID(first.conversation_id)
