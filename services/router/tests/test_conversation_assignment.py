"""Facts about the conversation that a contact continues, opens, follows or waits for."""

from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from parvis.common.contract.channels import ChannelProperties, channels, temporary_channel
from parvis.common.contract.contact import (
    ContactPersonalData,
    ContactPoint,
    ContactReceived,
    ConversationIdentifiers,
    MachineSent,
    Verification,
    make_contact_id,
)
from parvis.common.contract.references import make_reference
from parvis.common.contract.routing.decisions import Routing
from parvis.common.testing import A_KEY, AN_INSTANT, a_contact
from parvis.common.town.loading import load_town_config
from parvis.common.town.templates import load_templates
from parvis.router.decide.assignment_context import AssignmentContext
from parvis.router.decide.conversation_assignment import AssignedContact, assign_contact, assign_unanswered
from parvis.router.decide.conversation_working_set import ConversationWindows, ConversationWorkingSet, WaitingContact
from parvis.router.decide.deadlines import TownCalendar
from parvis.router.decide.department import decide_department
from parvis.router.decide.thread_keys import normalize_subject, thread_keys_of
from parvis.router.fetch.rules_files import load_rules
from parvis.router.settings import Settings

EXAMPLE = Path(__file__).parents[3] / "config" / "example-town"
TOWN_CONFIG = load_town_config(EXAMPLE)
RULES = load_rules(EXAMPLE, TOWN_CONFIG)
PLACING = AssignmentContext(
    TOWN_CONFIG, TownCalendar(TOWN_CONFIG.town), ConversationWindows(), load_templates(EXAMPLE, TOWN_CONFIG), A_KEY
)
POINT = ContactPoint(kind="phone", value="+33639980001")


def a_message(
    key: str, text: str = "bonjour", *, minutes: float = 0, subject: str = "", **changes: Any
) -> ContactReceived:
    personal = ContactPersonalData.model_validate({"from": POINT, "text": text, "subject": subject})
    at = AN_INSTANT + timedelta(minutes=minutes)
    values: dict[str, Any] = {"personal": personal, "received_at": at}
    return a_contact(key=key, **(values | changes))


def assign_all(
    known: ConversationWorkingSet, *contacts: ContactReceived, at: datetime = AN_INSTANT
) -> list[AssignedContact | WaitingContact]:
    return [
        outcome
        for contact in contacts
        for outcome in assign_contact(contact, decide_department(contact, RULES, TOWN_CONFIG), known, PLACING, at=at)
    ]


def assign(known: ConversationWorkingSet, contact: ContactReceived) -> Routing:
    (outcome,) = assign_all(known, contact)
    assert isinstance(outcome, AssignedContact)
    return outcome.routing


def assign_waiting(known: ConversationWorkingSet, contact: ContactReceived) -> WaitingContact:
    (outcome,) = assign_all(known, contact)
    assert isinstance(outcome, WaitingContact)
    return outcome


def two_open(known: ConversationWorkingSet) -> tuple[Routing, Routing]:
    """Two open conversations of one telephone number: a visit about a certificate and an SMS about a pothole."""
    visit = assign(known, a_message("v", "un acte de naissance", channel="counter"))
    return visit, assign(known, a_message("s", "un nid de poule", minutes=1))


def close(known: ConversationWorkingSet, routing: Routing, *, days: float = 0) -> None:
    id_ = UUID(routing.conversation_id)
    known.conversations[id_] = replace(known.conversations[id_], closed_at=AN_INSTANT + timedelta(days=days))


def test_a_sender_with_two_open_conversations_is_asked_and_the_answer_assigns_both_messages() -> None:
    known = ConversationWorkingSet()
    visit, hole = two_open(known)
    question = assign_waiting(known, a_message("q", "et alors ?", minutes=2))
    assert question.why == "question"
    assert [str(id_) for id_ in question.candidates] == [hole.conversation_id, visit.conversation_id]

    first, answer = assign_all(known, a_message("a", "2.", minutes=3))
    assert isinstance(first, AssignedContact)
    assert isinstance(answer, AssignedContact)
    assert [assigned.routing.conversation_id for assigned in (first, answer)] == [visit.conversation_id] * 2
    assert [assigned.routing.sequence for assigned in (first, answer)] == [2, 3]
    assert first.routing.matched == ("answer",)
    assert visit.reference in first.routing.reason["fr"]
    assert not known.waiting


def test_a_reference_is_an_answer_and_other_opens_a_new_conversation() -> None:
    for text, expected in (("{}", "hole"), ("c'est pour {} merci", "hole"), ("autre", "new")):
        known = ConversationWorkingSet()
        _, hole = two_open(known)
        assign_waiting(known, a_message("q", "et alors ?", minutes=2))
        answer_text = text.format(hole.reference)
        thread = ConversationIdentifiers(reference=hole.reference if "{}" in text else None)
        first, answer = assign_all(known, a_message("a", answer_text, minutes=3, thread=thread))
        assert isinstance(first, AssignedContact)
        assert isinstance(answer, AssignedContact)
        assert first.routing.conversation_id == answer.routing.conversation_id
        assert (first.routing.conversation_id == hole.conversation_id) == (expected == "hole")
        assert first.opens == (expected == "new")


def test_contacts_before_the_answer_queue_in_order() -> None:
    known = ConversationWorkingSet()
    _, hole = two_open(known)
    assign_waiting(known, a_message("q", "et alors ?", minutes=2))
    assert assign_waiting(known, a_message("r", "c'est urgent", minutes=3)).why == "queued"
    outcomes = assign_all(known, a_message("a", "le 1", minutes=4))
    assert [(o.routing.conversation_id, o.routing.sequence) for o in outcomes if isinstance(o, AssignedContact)] == [
        (hole.conversation_id, sequence) for sequence in (2, 3, 4)
    ]


def test_an_unanswered_contact_goes_to_triage_with_the_candidates_and_no_second_question_is_asked() -> None:
    known = ConversationWorkingSet()
    visit, hole = two_open(known)
    question = assign_waiting(known, a_message("q", "et alors ?", minutes=2))
    later = assign_waiting(known, a_message("r", "allô", minutes=3))
    first, second = assign_unanswered([question, later], known, PLACING, at=AN_INSTANT)
    routing = first.routing
    assert (routing.department, routing.rule, first.opens) == ("triage", "unanswered", True)
    assert [assigned.reference for assigned in routing.candidates] == [hole.reference, visit.reference]
    assert f"1. {hole.reference}, 2. {visit.reference}" in routing.reason["en"]
    assert second.routing.conversation_id == routing.conversation_id

    assert assign(known, a_message("t", "2", minutes=4)).conversation_id == routing.conversation_id


def test_a_question_over_whatsapp_may_be_answered_by_sms() -> None:
    known = ConversationWorkingSet()
    visit, _ = two_open(known)
    assign_waiting(known, a_message("q", "et alors ?", minutes=2, channel="whatsapp"))
    answered = [
        assigned
        for assigned in assign_all(known, a_message("a", "2", minutes=3))
        if isinstance(assigned, AssignedContact)
    ]
    assert [assigned.routing.conversation_id for assigned in answered] == [visit.conversation_id] * 2


def test_a_declared_new_request_does_not_queue_behind_a_question() -> None:
    known = ConversationWorkingSet()
    two_open(known)
    assign_waiting(known, a_message("q", "et alors ?", minutes=2))
    assert assign(known, a_message("n", "Nouvelle demande : mes encombrants", minutes=3)).department == "dechets"
    assert len(known.waiting) == 1


def test_an_urgent_contact_does_not_wait_for_an_answer() -> None:
    known = ConversationWorkingSet()
    two_open(known)
    assert assign(known, a_message("d", "odeur de gaz", minutes=2)).department == "police-municipale"
    assign_waiting(known, a_message("q", "et alors ?", minutes=3))
    assert assign(known, a_message("e", "une fuite de gaz", minutes=4)).department == "police-municipale"


def test_automatic_messages_and_anonymous_senders_are_not_asked() -> None:
    known = ConversationWorkingSet()
    _, hole = two_open(known)
    machine = assign(known, a_message("m", minutes=2, machine=MachineSent(reason="short-code")))
    assert machine.conversation_id == hole.conversation_id


def test_a_message_that_declares_itself_new_opens_a_conversation() -> None:
    known = ConversationWorkingSet()
    assign(known, a_message("s", "un nid de poule"))
    assert assign(known, a_message("n", "Nouvelle demande : mes encombrants", minutes=1)).department == "dechets"


def test_a_conversation_on_another_channel_continues_unless_rules_name_another_department() -> None:
    known = ConversationWorkingSet()
    visit = assign(known, a_message("v", "un acte de naissance", channel="counter"))
    assert assign(known, a_message("h", "un nid de poule", minutes=1)).department == "voirie"
    known = ConversationWorkingSet()
    assign(known, a_message("v", "un acte de naissance", channel="counter"))
    assert assign(known, a_message("p", "voici le papier", minutes=1)).conversation_id == visit.conversation_id


def test_words_of_another_department_give_a_suggestion_and_no_transfer() -> None:
    known = ConversationWorkingSet()
    assign(known, a_message("s", "un nid de poule"))
    routing = assign(known, a_message("t", "mes encombrants", minutes=1))
    assert routing.department == "voirie"
    assert routing.suggestion is not None
    assert (routing.suggestion.department, set(routing.suggestion.why)) == ("dechets", {"fr", "en"})
    assert assign(known, a_message("u", "merci", minutes=2)).suggestion is None


def test_after_the_grace_period_a_new_conversation_follows_and_later_contacts_continue_it() -> None:
    known = ConversationWorkingSet()
    first = assign(known, a_message("m1", "un nid de poule", channel="email"))
    close(known, first)
    token = ConversationIdentifiers(conversation_id=first.conversation_id)
    after: dict[str, Any] = {"channel": "email", "thread": token, "received_at": AN_INSTANT + timedelta(days=40)}
    new = assign(known, a_message("m2", "il est revenu", **after))
    assert (new.linked_to, new.department, new.rule) == (first.conversation_id, "voirie", "linked")
    assert first.reference in new.reason["fr"]
    assert first.reference in new.reason["en"]

    known.followers[UUID(first.conversation_id)] = UUID(new.conversation_id)
    assert assign(known, a_message("m3", "toujours là", **after)).conversation_id == new.conversation_id


def test_words_override_the_closed_conversations_department() -> None:
    known = ConversationWorkingSet()
    first = assign(known, a_message("m1", "un nid de poule", channel="email"))
    close(known, first)
    token = ConversationIdentifiers(conversation_id=first.conversation_id)
    at = AN_INSTANT + timedelta(days=40)
    new = assign(known, a_message("m2", "mes encombrants", channel="email", thread=token, received_at=at))
    assert (new.department, new.linked_to) == ("dechets", first.conversation_id)
    assert new.reason["en"].startswith(f"The request {first.reference} is closed")


def test_an_sms_after_a_closed_conversation_opens_a_linked_one() -> None:
    known = ConversationWorkingSet()
    first = assign(known, a_message("s", "un nid de poule"))
    close(known, first)
    new = assign(known, a_message("t", "toujours rien", minutes=2))
    assert (new.linked_to, new.sequence) == (first.conversation_id, 1)


def test_an_out_of_office_reply_does_not_reopen_a_conversation() -> None:
    known = ConversationWorkingSet()
    first = assign(known, a_message("m1", channel="email"))
    close(known, first)
    token = ConversationIdentifiers(conversation_id=first.conversation_id)
    assign(known, a_message("m2", channel="email", thread=token, machine=MachineSent(reason="auto-submitted")))
    assert known.conversations[UUID(first.conversation_id)].closed_at is not None


def mailed(
    key: str, message_id: str, *answers: str, sender: str = "v1.a", subject: str = "", **changes: Any
) -> ContactReceived:
    thread = ConversationIdentifiers(message_id=message_id, in_reply_to=answers)
    return a_message(key, channel="email", thread=thread, contact_point_hash=sender, subject=subject, **changes)


def test_a_reply_to_a_mail_continues_its_conversation_for_a_participant() -> None:
    known = ConversationWorkingSet()
    first = assign(known, mailed("1", "<one@citizens.example>", "<older@elsewhere.example>"))
    joining = mailed("2", "<two@family.example>", sender="v1.b")
    token = joining.thread.model_copy(update={"conversation_id": first.conversation_id})
    assign(known, joining.model_copy(update={"thread": token}))

    second = assign(known, mailed("3", "<three@family.example>", "<one@citizens.example>", sender="v1.b"))
    assert (second.conversation_id, second.matched) == (first.conversation_id, ("mail thread",))
    ancestor = assign(known, mailed("4", "<four@citizens.example>", "<older@elsewhere.example>"))
    assert ancestor.conversation_id == first.conversation_id

    stranger = mailed("5", "<five@x.example>", "<one@citizens.example>", sender="v1.c")
    assert assign(known, stranger).conversation_id != first.conversation_id
    forged = mailed("6", "<six@x.example>", "<one@citizens.example>")
    forged = forged.model_copy(update={"sender": Verification(level="none", dmarc="fail")})
    assert assign(known, forged).conversation_id != first.conversation_id


def test_the_same_sender_and_subject_within_the_window_is_one_conversation() -> None:
    known = ConversationWorkingSet()
    first = assign(known, mailed("1", "<1@x.example>", subject="Nid de poule rue des Lilas"))
    assert assign(known, mailed("2", "<2@x.example>", subject="RE: nid de poule, rue des lilas")).matched == (
        "subject",
    )
    for changes in (
        {"subject": "Nid de poule rue des Roses"},
        {"subject": "Nid de poule rue des Lilas", "sender": "v1.b"},
        {"subject": "Nid de poule rue des Lilas", "received_at": AN_INSTANT + timedelta(days=15)},
    ):
        other = assign(known, mailed(f"x{changes}", "<x@x.example>", **changes))  # pyright: ignore[reportArgumentType]
        assert other.conversation_id != first.conversation_id


def test_a_subject_without_content_links_no_mails() -> None:
    known = ConversationWorkingSet()
    first = assign(known, mailed("1", "<1@x.example>", subject="Bonjour"))
    assert assign(known, mailed("2", "<2@x.example>", subject="Re: bonjour")).conversation_id != first.conversation_id


def test_a_subject_is_normalized_without_prefixes() -> None:
    quoted = make_reference(make_contact_id("sms", "a", "b"))
    assert normalize_subject(f"[EXTERNE] TR: RE[2] : Réf. {quoted} — Fuite d'Eau  ") == normalize_subject("fuite d'eau")
    assert normalize_subject("Demande de renseignements") == ""
    assert normalize_subject("") == ""


@given(st.text(max_size=400), st.lists(st.text(max_size=50), max_size=20))
def test_thread_keys_contain_no_text_and_never_raise(subject: str, ids: list[str]) -> None:
    mail = mailed("1", "<1@x.example>", *ids, subject=subject)
    assert all(len(mark) == 16 for mark in thread_keys_of(mail, A_KEY).stored)


_WORDS = st.sampled_from(
    ["bonjour", "1", "le 2", "autre", "un nid de poule", "mes encombrants", "odeur de gaz", "Nouvelle demande", "merci"]
)
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["sms", "whatsapp", "counter", "email", "web"]),
        _WORDS,
        st.integers(0, 2),  # sender
        st.integers(0, 12000),  # minutes later
        st.sampled_from(["", "token", "reference", "answers", "close", "due"]),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(_STEPS)
def test_each_contact_is_assigned_once_or_waits_and_numbers_have_no_gap(
    steps: list[tuple[str, str, int, int, str]],
) -> None:
    known, minutes = ConversationWorkingSet(), 0
    received: list[str] = []
    placed: list[AssignedContact] = []
    for number, (channel, text, whose, gap, how) in enumerate(steps):
        minutes += gap
        at = AN_INSTANT + timedelta(minutes=minutes)
        if how == "close" and placed:
            close(known, placed[-1].routing, days=minutes / 1440)
            continue
        if how == "due":
            for queue in list(known.waiting.values()):
                placed += assign_unanswered(queue, known, PLACING, at=at)
            continue
        last = placed[-1].routing if placed else None
        thread = ConversationIdentifiers(
            conversation_id=last.conversation_id if last and how == "token" else None,
            reference=last.reference if last and how == "reference" else None,
            message_id=f"<{number}@x.example>",
            in_reply_to=(f"<{number - 1}@x.example>",) if how == "answers" else (),
        )
        contact = a_message(
            f"{number}",
            text,
            channel=channel,
            received_at=at,
            contact_point_hash=f"v1.{whose}",
            thread=thread,
            subject=text,
        )
        received.append(contact.contact_id)
        placed += [assigned for assigned in assign_all(known, contact, at=at) if isinstance(assigned, AssignedContact)]
    waiting = [assigned.contact.contact_id for queue in known.waiting.values() for assigned in queue]
    assert sorted([assigned.contact.contact_id for assigned in placed] + waiting) == sorted(received)
    numbers: dict[str, list[int]] = defaultdict(list)
    for assigned in placed:
        numbers[assigned.routing.conversation_id].append(assigned.routing.sequence)
    for sequences in numbers.values():
        assert sequences == list(range(1, len(sequences) + 1))
    for queue in known.waiting.values():
        assert queue[0].why == "question"
        assert all(assigned.why == "queued" for assigned in queue[1:])


def test_the_settings_and_the_channel_table_have_equal_windows() -> None:
    fields = Settings.model_fields
    rows = [row for row in channels() if f"{row.name}_window_days" in fields]
    stated = {row.name: fields[f"{row.name}_window_days"].default for row in rows}
    assert stated == {row.name: row.conversation_window.days for row in channels() if row.name in stated}
    assert len(stated) == 7


def test_a_new_channel_works_from_its_row_in_the_channel_table() -> None:
    telegram = ChannelProperties(
        name="telegram",
        contact_point_kind="phone",
        reply_channel="sms",
        conversation_window=timedelta(days=2),
        window_shared_with="sms",
        asks_which_conversation=True,
    )
    with temporary_channel(telegram):
        known = ConversationWorkingSet()
        _, hole = two_open(known)
        question = assign_waiting(known, a_message("q", "et alors ?", minutes=2, channel="telegram"))
        assert question.question
        assert question.question.personal.stated[0].channel == "telegram"
        first, answer = assign_all(known, a_message("a", "1", minutes=3))  # by SMS: the channels share a window
        assert isinstance(first, AssignedContact)
        assert isinstance(answer, AssignedContact)
        assert first.routing.conversation_id == hole.conversation_id
        assert "telegram" in ConversationWindows().sender_channels
