"""Facts about visits and calls that an agent writes down, with the reference that the citizen gives."""

import json
from typing import Any
from uuid import UUID

import pytest

from parvis.common.contract.contact import (
    ContactId,
    ContactPersonalData,
    ContactReceived,
    ConversationIdentifiers,
    Verification,
)
from parvis.common.contract.references import make_reference
from parvis.common.testing import A_KEY, a_contact
from parvis.router.decide.conversation_working_set import ConversationWindows, ConversationWorkingSet
from parvis.router.decide.lookup_keys import lookup_keys

from .conftest import Town
from .makers import sms
from .test_other_persons import GAS, assign, close, mailed, with_token

NOISE = "Elle rappelle à propos du bruit du bar, la nuit."


def noted(reference: str, *, key: str = "n", text: str = NOISE, sender: str | None = None) -> ContactReceived:
    values: dict[str, Any] = {
        "channel": "counter",
        "contact_point_hash": sender,
        "personal": ContactPersonalData(text=text),
        "sender": Verification(level="staff"),
        "thread": ConversationIdentifiers(reference=reference),
    }
    return a_contact(key=key, **values)


@pytest.mark.parametrize("sender", [None, "v1.b"])
def test_a_reference_that_an_agent_types_names_the_conversation(sender: str | None) -> None:
    known = ConversationWorkingSet()
    first = assign(known, mailed("1", text="Il y a un nid-de-poule sur la chaussée, rue Basse."))
    note = assign(known, noted(first.reference, sender=sender))
    assert (note.conversation_id, note.department) == (first.conversation_id, first.department)
    assert (note.rule, note.matched) == ("conversation", ("staff",))
    assert note.suggestion is not None  # an agent may still split it off


def test_not_even_a_danger_takes_a_note_out_of_the_conversation_that_it_names() -> None:
    known = ConversationWorkingSet()
    first = assign(known, mailed("1"))
    note = assign(known, noted(first.reference, text=GAS))
    assert (note.conversation_id, note.department, note.urgency) == (
        first.conversation_id, first.department, "immediate",
    )  # fmt: skip


def test_a_note_about_a_conversation_closed_long_ago_stays_in_its_department() -> None:
    known = ConversationWorkingSet()
    first = assign(known, mailed("1", text="Il y a un nid-de-poule sur la chaussée, rue Basse."))
    close(known, first, days=-90)
    note = assign(known, noted(first.reference))
    assert (note.department, note.linked_to) == (first.department, first.conversation_id)


def test_the_reference_that_an_agent_types_beats_the_case_whose_page_they_came_from() -> None:
    known = ConversationWorkingSet()
    first, second = assign(known, mailed("1")), assign(known, mailed("2", subject="Autre objet"))
    assert first.conversation_id != second.conversation_id
    note = with_token(noted(second.reference), first.conversation_id)
    assert assign(known, note).conversation_id == second.conversation_id


def test_nobody_else_joins_by_a_reference() -> None:
    known = ConversationWorkingSet()
    first = assign(known, mailed("1"))
    for level in ("none", "provider", "domain"):
        quoting = noted(first.reference, key=level, sender="v1.b")
        quoting = quoting.model_copy(update={"sender": Verification.model_validate({"level": level})})
        assert assign(known, quoting).conversation_id != first.conversation_id
    assert assign(known, noted(make_reference(ContactId("none")))).sequence == 1


def test_the_reference_in_an_anonymous_note_is_looked_up() -> None:
    reference = make_reference(ContactId("1"))
    note = noted(reference)
    anonymous = note.model_copy(update={"sender": Verification(level="none")})
    assert lookup_keys([note], ConversationWindows(), A_KEY).references == {reference}
    assert lookup_keys([anonymous], ConversationWindows(), A_KEY).is_empty


def test_who_is_noted_takes_part_from_then_on() -> None:
    known = ConversationWorkingSet()
    first = assign(known, mailed("1"))
    assign(known, noted(first.reference, sender="v1.b"))
    assert (UUID(first.conversation_id), "v1.b") in known.senders


async def test_a_note_joins_the_stored_conversation_without_a_notice(town: Town) -> None:
    first = sms(1, "un nid de poule")
    await town.route(first)
    notices = len(await town.replies())
    await town.route(noted(first.reference))
    routings = [json.loads(record.value)["routing"] for record in await town.queue("voirie")]
    assert [routing["sequence"] for routing in routings] == [1, 2]
    assert len(await town.replies()) == notices
