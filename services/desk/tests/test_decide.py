"""Tests the decisions on a case: the highest sequence names the department, and repeated events change nothing."""

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.contact import ContactPersonalData, ContactPoint, ContactReceived, MachineSent, ReplyAddress
from parvis.common.contract.delivery import DeliveryId, DeliveryUpdated
from parvis.common.contract.errors import Rejected
from parvis.common.contract.reply import ReplyId, ReplyRequested
from parvis.common.contract.routing.decisions import CaseUpdated, ContactRouted, Routing, make_conversation_id
from parvis.common.contract.routing.transfer import ConversationArrived, ConversationLeft, TransferRequested
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.common.town.loading import load_town_config
from parvis.desk.decide import apply_agent_actions, apply_events, reply_recipient, timeline
from parvis.desk.decide.apply_agent_actions import ActionContext, AgentTextInput, ReplyInput
from parvis.desk.models.case import (
    Agent,
    Case,
    CaseActionRecord,
    CaseChanges,
    CaseContact,
    CaseFile,
    DeliveryStatus,
    DepartmentMove,
)

TOWN_CONFIG = load_town_config(Path(__file__).parents[3] / "config" / "example-town")
AGENT = Agent("Dominique Exemple", "voirie")
FIRST = a_contact()
CONVERSATION = make_conversation_id(FIRST.contact_id, FIRST.received_at)


def a_case(**changes: Any) -> Case:
    return replace(Case(CONVERSATION, FIRST.reference, "voirie", AN_INSTANT, AN_INSTANT), **changes)


def routed(sequence: int, department: str = "voirie", contact: ContactReceived | None = None) -> ContactRouted:
    contact = contact or a_contact(key=f"SM{sequence}")
    routing = Routing(
        conversation_id=CONVERSATION,
        sequence=sequence,
        department=department,
        reference=FIRST.reference,
        rule="r",
        rules_version="v",
        confidence=1,
        reason={"fr": "Parce que."},
        received_at=AN_INSTANT,
        answer_due_at=AN_INSTANT + timedelta(days=7),
        decided_at=AN_INSTANT + timedelta(seconds=sequence),
    )
    return ContactRouted(routing=routing, contact=contact)


def moved(sequence: int, to: str, kind: type[ConversationArrived | ConversationLeft] = ConversationArrived) -> Any:
    return kind(
        conversation_id=CONVERSATION,
        sequence=sequence,
        reference=FIRST.reference,
        from_department="triage",
        to_department=to,
        reason="C'est la voirie.",
        at=AN_INSTANT + timedelta(seconds=sequence),
    )


def changed(changes: CaseChanges) -> Case:
    assert changes.case
    return changes.case


def apply_event(case: Case, event: Any) -> CaseChanges:
    if isinstance(event, ContactRouted):
        return apply_events.apply_contact(case, event, b"{}", TOWN_CONFIG, AN_INSTANT)
    return apply_events.apply_department_change(case, event, TOWN_CONFIG, AN_INSTANT)


HISTORY = [
    routed(1, "triage"),
    moved(2, "voirie", ConversationLeft),
    moved(2, "voirie"),
    routed(3, "voirie"),
    moved(4, "etat-civil", ConversationLeft),
    moved(4, "etat-civil"),
    routed(5, "etat-civil"),
]


@given(st.randoms(use_true_random=False))
def test_in_any_order_the_highest_sequence_names_the_department(chance: random.Random) -> None:
    events = [*HISTORY]
    chance.shuffle(events)
    case = a_case(department="triage")
    for event in events:
        case = changed(apply_event(case, event))

    assert (case.department, case.department_sequence, case.contacts) == ("etat-civil", 5, 3)
    assert case.state == "open"


def test_a_new_message_reopens_a_closed_case() -> None:
    changes = apply_event(a_case(state="closed", contacts=1), routed(2))

    assert changed(changes).state == "open"
    assert [row.kind for row in changes.rows if isinstance(row, CaseActionRecord)] == ["reopened_by_citizen"]
    assert [event.state for event in changes.events if isinstance(event, CaseUpdated)] == ["open"]


def test_an_out_of_office_reply_reopens_nothing() -> None:
    note = a_contact(machine=MachineSent(reason="auto-submitted"))
    changes = apply_event(a_case(state="closed", contacts=1), routed(2, contact=note))

    assert changed(changes).state == "closed"
    assert not changes.events


def test_a_transferred_case_is_unassigned() -> None:
    before = a_case(taken_by="Dominique Exemple", department_sequence=1)
    case = changed(apply_event(before, moved(2, "etat-civil")))

    assert (case.department, case.taken_by) == ("etat-civil", None)


def delivery_updated(state: Any, attempt: int = 1, kind: Any = "answer") -> DeliveryUpdated:
    return DeliveryUpdated(
        delivery_id=DeliveryId("d"),
        reply_id=ReplyId("r"),
        conversation_id=CONVERSATION,
        reference=FIRST.reference,
        kind=kind,
        channel="sms",
        attempt=attempt,
        state=state,
        at=AN_INSTANT,
    )


def test_an_undelivered_reply_reopens_its_case() -> None:
    before = a_case(state="closed", contacts=1)
    case = changed(apply_events.apply_delivery(before, delivery_updated("undelivered"), None, TOWN_CONFIG, AN_INSTANT))

    assert (case.state, case.undelivered) == ("open", True)


def test_an_undelivered_notice_does_not_reopen_its_case() -> None:
    before = a_case(state="closed", contacts=1)
    notice = delivery_updated("failed", kind="registration")
    changes = apply_events.apply_delivery(before, notice, None, TOWN_CONFIG, AN_INSTANT)

    assert len(changes.rows) == 1
    assert changes.case is None


def test_an_older_delivery_status_changes_nothing() -> None:
    known = DeliveryStatus("d", "r", CONVERSATION, "answer", "sms", 1, "delivered", None, "", AN_INSTANT)

    assert not apply_events.apply_delivery(a_case(), delivery_updated("accepted"), known, TOWN_CONFIG, AN_INSTANT).rows
    assert apply_events.apply_delivery(
        a_case(), delivery_updated("reserved", attempt=2), known, TOWN_CONFIG, AN_INSTANT
    ).rows


def opened(channel: str = "sms", sender: ContactPoint | None = None, *wishes: ReplyAddress, **more: Any) -> CaseContact:
    personal = ContactPersonalData.model_validate({"from": sender, "text": "Bonjour", "reply_channels": wishes})
    event = routed(1, contact=a_contact(channel=channel, personal=personal, **more))
    return CaseContact(event.routing, event.contact)


PHONE = ContactPoint(kind="phone", value="+33639980001")
MAIL = ContactPoint(kind="email", value="camille@example-town.example")


@pytest.mark.parametrize(
    ("contact", "channel", "why"),
    [
        (opened("email", MAIL, ReplyAddress(channel="sms", address="+33639980001")), "sms", "stated"),
        (opened("sms", PHONE), "sms", "contact"),
        (opened("whatsapp", PHONE), "sms", "contact"),
        (opened("phone", PHONE), "phone", "contact"),
        (opened("counter", MAIL), "email", "contact"),
        (opened("web", PHONE), "sms", "contact"),
        (opened("post"), "", "unknown"),
    ],
)
def test_a_reply_goes_to_the_channel_that_the_citizen_stated(contact: CaseContact, channel: str, why: str) -> None:
    target = reply_recipient.find_recipient([contact])

    assert (target.channel, target.source) == (channel, why)


def test_a_stated_channel_outlives_later_messages() -> None:
    first = opened("email", MAIL, ReplyAddress(channel="post", address="Camille\n00100 Val-Exemple"))

    assert reply_recipient.find_recipient([first, opened("sms", PHONE)]).channel == "post"


def reply(answer: ReplyInput, *contacts: CaseContact) -> ReplyRequested:
    changes = apply_agent_actions.request_reply(
        a_case(), ActionContext(AGENT, TOWN_CONFIG, AN_INSTANT), contacts, answer
    )
    return next(event for event in changes.events if isinstance(event, ReplyRequested))


def test_a_reply_carries_all_that_the_notifier_needs() -> None:
    contact = opened("email", MAIL, ReplyAddress(channel="sms", address=PHONE.value))
    marked = contact.contact.model_copy(
        update={"thread": contact.contact.thread.model_copy(update={"message_id": "<a@b.example>"})}
    )
    asked = reply(ReplyInput("Bonjour", "once"), replace(contact, contact=marked))

    assert (asked.kind, asked.template, asked.legal) == ("answer", "answer", False)
    assert asked.personal.contact_points == (MAIL,)
    assert [wish.channel for wish in asked.personal.stated] == ["sms"]
    assert asked.personal.in_reply_to == "<a@b.example>"
    assert asked.personal.variables["department_phone"] == "05 36 49 01 20"
    assert asked.channel_of_contact == "email"


def test_an_agent_may_choose_another_channel() -> None:
    answer = ReplyInput("Bonjour", "once", "closed", "post", "Andrée Exemple\n3 rue Haute\n00100 Val-Exemple")
    asked = reply(answer, opened("post"))

    assert [(w.channel, w.address.count("\n")) for w in asked.personal.stated] == [("post", 2)]


@pytest.mark.parametrize(
    ("answer", "contact", "why"),
    [
        (ReplyInput("  ", "o"), opened("sms", PHONE), "no_text"),
        (ReplyInput("x" * 10_001, "o"), opened("sms", PHONE), "text_too_long"),
        (ReplyInput("x", "o"), opened("post"), "no_address"),
        (ReplyInput("x", "o"), opened("phone", PHONE), "call_instead"),
        (ReplyInput("x", "o", "open", "email", "nobody"), opened("sms", PHONE), "wrong_address"),
        (ReplyInput("x", "o", "open", "pigeon", "x"), opened("sms", PHONE), "no_channel"),
    ],
)
def test_an_impossible_reply_is_rejected_with_its_reason(answer: ReplyInput, contact: CaseContact, why: str) -> None:
    with pytest.raises(Rejected, match=why):
        apply_agent_actions.request_reply(a_case(), ActionContext(AGENT, TOWN_CONFIG, AN_INSTANT), [contact], answer)


def test_a_transfer_is_requested_and_moves_nothing_yet() -> None:
    case = a_case()
    changes = apply_agent_actions.request_transfer(
        case, ActionContext(AGENT, TOWN_CONFIG, AN_INSTANT), "etat-civil", " Acte de   naissance ", "o"
    )
    (asked,) = changes.events

    assert isinstance(asked, TransferRequested)
    assert (asked.from_department, asked.to_department, asked.reason) == ("voirie", "etat-civil", "Acte de naissance")
    assert case.department == "voirie"


@pytest.mark.parametrize(
    ("to", "reason", "why"),
    [("nowhere", "x", "no_department"), ("voirie", "x", "already_here"), ("etat-civil", " ", "no_reason")],
)
def test_a_transfer_needs_a_department_and_a_reason(to: str, reason: str, why: str) -> None:
    with pytest.raises(Rejected, match=why):
        apply_agent_actions.request_transfer(a_case(), ActionContext(AGENT, TOWN_CONFIG, AN_INSTANT), to, reason, "o")


def test_take_release_close_and_reopen_are_published_once() -> None:
    context = ActionContext(AGENT, TOWN_CONFIG, AN_INSTANT)
    case = a_case()
    for act in (
        apply_agent_actions.take_case,
        apply_agent_actions.close_case,
        apply_agent_actions.reopen_case,
        apply_agent_actions.release_case,
    ):
        changes = act(case, context)
        assert changes.events
        case = changed(changes)
        assert not act(case, context).rows


def test_a_decision_leaves_the_case_that_it_was_given_unchanged() -> None:
    case = a_case(state="closed", contacts=1)
    apply_event(case, routed(2))
    apply_agent_actions.reopen_case(case, ActionContext(AGENT, TOWN_CONFIG, AN_INSTANT))

    assert case == a_case(state="closed", contacts=1)


def test_no_agent_is_named_to_the_citizen() -> None:
    case = a_case()
    (told,) = apply_agent_actions.take_case(case, ActionContext(AGENT, TOWN_CONFIG, AN_INSTANT)).events

    assert isinstance(told, CaseUpdated)
    assert "Dominique" not in told.model_dump_json()
    assert told.public_line["fr"] == "Un agent du service Voirie et éclairage s'occupe de votre demande."


def test_a_call_is_recorded_in_the_case() -> None:
    changes = apply_agent_actions.record_call(
        a_case(), ActionContext(AGENT, TOWN_CONFIG, AN_INSTANT), AgentTextInput("Rappeler lundi.", "o", "open")
    )

    assert [row.text for row in changes.rows if isinstance(row, CaseActionRecord)] == ["Rappeler lundi."]
    assert changed(changes).taken_by == "Dominique Exemple"


@given(st.permutations([1, 2, 3, 4]))
def test_the_timeline_follows_sequence_numbers_even_if_clocks_differ(order: list[int]) -> None:
    contacts: list[CaseContact] = []
    for sequence, second in zip((1, 2, 3, 4), order, strict=True):
        event = routed(sequence)
        routing = event.routing.model_copy(update={"decided_at": AN_INSTANT + timedelta(seconds=second)})
        contacts.append(CaseContact(routing, event.contact))
    move = DepartmentMove(CONVERSATION, 5, "voirie", "triage", "-", AN_INSTANT)
    entries = timeline.build_timeline(CaseFile(a_case(), tuple(reversed(contacts)), moves=(move,)))

    numbers = [e.item.routing.sequence if isinstance(e.item, CaseContact) else 5 for e in entries]
    assert numbers == [1, 2, 3, 4, 5]
