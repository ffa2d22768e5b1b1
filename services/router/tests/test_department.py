"""Facts about decisions: the department by words, form and mailbox, the conversation, the due dates, the notices."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.contact import (
    ContactPersonalData,
    ContactReceived,
    ConversationIdentifiers,
    MachineSent,
    ReplyAddress,
    Verification,
)
from parvis.common.contract.pydantic_to_msgspec import encode_json
from parvis.common.contract.routing.decisions import Routing, make_conversation_id
from parvis.common.testing import A_KEY, AN_INSTANT, a_contact
from parvis.common.text.language import detect_language
from parvis.common.town.deadline_rules import Period
from parvis.common.town.loading import load_town_config
from parvis.router.decide.conversation_working_set import ConversationWindows, ConversationWorkingSet
from parvis.router.decide.deadlines import TownCalendar
from parvis.router.decide.department import Decision, decide_department
from parvis.router.decide.find_conversation import find_conversation
from parvis.router.decide.notices import registration_notice
from parvis.router.decide.thread_keys import thread_keys_of
from parvis.router.fetch.rules_files import load_rules
from parvis.router.models.stored_rows import Conversation

EXAMPLE = Path(__file__).parents[3] / "config" / "example-town"
TOWN_CONFIG = load_town_config(EXAMPLE)
RULES = load_rules(EXAMPLE, TOWN_CONFIG)


def decided(text: str = "", **changes: Any) -> Decision:
    return decide_department(a_contact(text=text, **changes), RULES, TOWN_CONFIG)


def test_words_give_a_department_with_a_reason_in_both_languages() -> None:
    decision = decided("il y a un nid-de-poule")
    assert (decision.department, decision.rule, decision.procedure) == ("voirie", "pothole", "road-report")
    assert decision.matched == ("word: nid de poule",)
    assert set(decision.reason) == {"fr", "en"}


def test_a_contact_that_matches_nothing_goes_to_triage() -> None:
    decision = decided("bonjour")
    assert (decision.department, decision.rule, decision.confidence) == ("triage", "default", 0.0)


def test_the_form_overrides_words_which_become_runners_up() -> None:
    decision = decided("fuite d'eau", procedure="birth-certificate", channel="web")
    assert (decision.department, decision.rule) == ("etat-civil", "procedure")
    assert [other.department for other in decision.runners_up] == ["eau-assainissement"]


def test_a_hard_rule_overrides_the_form() -> None:
    decision = decided("odeur de gaz", procedure="birth-certificate", channel="web")
    assert (decision.department, decision.urgency, decision.confidence) == ("police-municipale", "immediate", 1.0)


def test_an_unknown_procedure_is_ignored() -> None:
    assert decided("un nid de poule", procedure="no-such-form").department == "voirie"


def test_a_departments_mailbox_decides_except_for_automatic_mail() -> None:
    changes: dict[str, Any] = {"channel": "email", "to": "Urbanisme@example-town.example"}
    assert decided("bonjour", **changes).rule == "mailbox"
    machine = decided("facture", machine=MachineSent(reason="auto-submitted"), **changes)
    assert (machine.department, machine.rule) == ("triage", "machine-sent")


def test_words_of_two_departments_lower_the_confidence() -> None:
    single, double = decided("un nid de poule"), decided("un nid de poule et mes encombrants")
    assert double.confidence < single.confidence
    assert double.runners_up[0].department == "dechets"


def test_the_answers_of_a_form_are_read_too() -> None:
    personal = ContactPersonalData(answers={"details": "le lampadaire clignote"})
    assert decided(personal=personal, channel="web").department == "voirie"


@given(st.text(), st.text(max_size=50), st.text(max_size=50))
def test_deciding_never_raises_and_always_names_a_department(text: str, subject: str, to: str) -> None:
    contact = a_contact(to=to, personal=ContactPersonalData(text=text, subject=subject, answers={subject: text}))
    decision = decide_department(contact, RULES, TOWN_CONFIG, language=detect_language(text))
    assert decision.department in TOWN_CONFIG.departments
    assert 0 <= decision.confidence <= 1


def day(text: str, time: str = "10:00") -> datetime:
    return datetime.fromisoformat(f"{text}T{time}:00+00:00")


@pytest.mark.parametrize(
    ("start", "period", "end"),
    [
        ("2026-03-02", "1 working day", "2026-03-03"),
        ("2026-03-06", "1 working day", "2026-03-09"),  # a Friday
        ("2026-04-03", "1 working day", "2026-04-07"),  # before Easter Monday
        ("2026-04-30", "2 working days", "2026-05-05"),  # before the First of May, a Friday
        ("2026-12-24", "1 working day", "2026-12-28"),
        ("2026-03-02", "7 days", "2026-03-09"),
        ("2026-12-31", "2 months", "2027-02-28"),
        ("2026-01-31", "1 month", "2026-02-28"),
        ("2026-11-15", "2 months", "2027-01-15"),
    ],
)
def test_a_period_ends_with_the_last_second_of_its_last_day_in_the_town(start: str, period: str, end: str) -> None:
    ends_at = TownCalendar(TOWN_CONFIG.town).end_of_period(day(start), Period.model_validate(period))
    local = ends_at.astimezone(timezone())
    assert (local.date().isoformat(), local.time().isoformat()) == (end, "23:59:59")


def timezone() -> Any:
    return ZoneInfo(TOWN_CONFIG.town.time_zone)


def test_a_contact_at_night_counts_from_the_towns_local_date() -> None:
    late = day("2026-03-02", "23:30")  # 00:30 on the 3rd in the town's time zone
    assert TownCalendar(TOWN_CONFIG.town).end_of_period(late, Period.model_validate("1 day")) == datetime(
        2026, 3, 4, 22, 59, 59, tzinfo=UTC
    )


def test_the_change_of_the_clocks_moves_no_deadline() -> None:
    before_summer_time = day("2026-03-28")
    assert TownCalendar(TOWN_CONFIG.town).end_of_period(before_summer_time, Period.model_validate("2 days")).hour == 21


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)), st.integers(1, 60))  # noqa: DTZ001
def test_working_days_end_on_a_working_day_after_the_start(start: datetime, count: int) -> None:
    calendar = TownCalendar(TOWN_CONFIG.town)
    begun = start.replace(tzinfo=UTC)
    end = calendar.end_of_period(begun, Period(count=count, unit="working days"))
    assert end > begun
    assert calendar.is_working_day(end.astimezone(timezone()).date())


def a_conversation(**changes: Any) -> Conversation:
    values: dict[str, Any] = {
        "id": uuid4(),
        "reference": "P-0000-0000-0000",
        "department": "voirie",
        "sequence": 1,
        "procedure": None,
        "opened_at": AN_INSTANT,
        "last_contact_at": AN_INSTANT,
    }
    return Conversation(**(values | changes))


def resolve(
    contact: ContactReceived, known: ConversationWorkingSet, windows: ConversationWindows
) -> Conversation | None:
    return find_conversation(contact, decided(), thread_keys_of(contact, A_KEY), known, windows).continues


def later(**span: float) -> datetime:
    return AN_INSTANT + timedelta(**span)


def test_an_sms_soon_after_another_of_the_same_sender_continues_it() -> None:
    known, first = ConversationWorkingSet(), a_conversation()
    known.add_contact(a_contact(), first)
    assert resolve(a_contact(key="SM2", received_at=later(days=6)), known, ConversationWindows()) is first
    assert resolve(a_contact(key="SM2", received_at=later(days=8)), known, ConversationWindows()) is None
    assert resolve(a_contact(key="SM2", contact_point_hash="v1.other"), known, ConversationWindows()) is None


def test_a_mail_of_the_same_sender_without_a_thread_key_opens_a_conversation() -> None:
    known = ConversationWorkingSet()
    known.add_contact(a_contact(channel="email"), a_conversation())
    assert resolve(a_contact(key="2", channel="email"), known, ConversationWindows()) is None


def test_our_token_names_an_existing_conversation() -> None:
    known, first = ConversationWorkingSet(), a_conversation()
    known.add_contact(a_contact(channel="email"), first)
    reply = a_contact(
        key="2",
        channel="email",
        contact_point_hash="v1.a",
        thread=ConversationIdentifiers(conversation_id=str(first.id)),
    )
    assert resolve(reply, known, ConversationWindows()) is first
    stranger = a_contact(
        key="3", thread=ConversationIdentifiers(conversation_id=str(uuid4())), contact_point_hash="v1.b"
    )
    assert resolve(stranger, known, ConversationWindows()) is None
    assert (
        resolve(
            a_contact(key="4", thread=ConversationIdentifiers(conversation_id="x\x00y"), contact_point_hash=None),
            known,
            ConversationWindows(),
        )
        is None
    )


def test_a_quoted_reference_counts_only_for_a_participant() -> None:
    known, first = ConversationWorkingSet(), a_conversation()
    opening = a_contact(channel="email")
    known.add_contact(opening, first)
    quoting: dict[str, Any] = {
        "key": "2",
        "channel": "email",
        "thread": ConversationIdentifiers(reference=opening.reference),
    }
    assert resolve(a_contact(**quoting), known, ConversationWindows()) is first
    assert resolve(a_contact(**quoting, contact_point_hash="v1.other"), known, ConversationWindows()) is None
    assert resolve(a_contact(**quoting, contact_point_hash=None), known, ConversationWindows()) is None


def test_a_closed_conversation_reopens_within_the_grace_period_but_not_for_an_sms_alone() -> None:
    known, first = ConversationWorkingSet(), a_conversation(closed_at=later(days=1))
    known.add_contact(a_contact(), first)
    token = ConversationIdentifiers(conversation_id=str(first.id))
    assert resolve(a_contact(key="2", received_at=later(days=20), thread=token), known, ConversationWindows()) is first
    assert resolve(a_contact(key="2", received_at=later(days=40), thread=token), known, ConversationWindows()) is None
    assert resolve(a_contact(key="2", received_at=later(days=2)), known, ConversationWindows()) is None


def a_routing(contact: Any, **changes: Any) -> Routing:
    values: dict[str, Any] = {
        "conversation_id": make_conversation_id(contact.contact_id, contact.received_at),
        "sequence": 1,
        "department": "voirie",
        "reference": contact.reference,
        "rule": "pothole",
        "rules_version": "0" * 12,
        "confidence": 0.6,
        "reason": {"fr": "x", "en": "x"},
        "received_at": contact.received_at,
        "decided_at": AN_INSTANT,
    }
    return Routing(**(values | changes))


def test_a_registration_contains_the_legal_content_and_no_text_of_the_message() -> None:
    contact = a_contact(text="mon secret")
    notice = registration_notice(contact, a_routing(contact), TOWN_CONFIG, language="en")
    assert notice is not None
    assert (notice.kind, notice.template, notice.language, notice.legal) == ("registration", "registration", "en", True)
    variables = notice.personal.variables
    assert variables["received_on"] == "2 March 2026"
    assert variables["department_phone"] == "05 36 49 01 20"
    assert "secret" not in encode_json(notice).decode()
    assert notice.reply_id == registration_notice(contact, a_routing(contact), TOWN_CONFIG, language="en").reply_id  # pyright: ignore[reportOptionalMemberAccess]


def test_a_registration_names_the_sources_of_its_contact() -> None:
    contact = a_contact(sources=("s1.home", "s1.street"))
    notice = registration_notice(contact, a_routing(contact), TOWN_CONFIG, language="en")
    assert notice is not None
    assert notice.sources == contact.sources


def test_no_registration_goes_to_a_machine_a_forged_address_or_without_a_recipient() -> None:
    for contact in (
        a_contact(machine=MachineSent(reason="auto-submitted")),
        a_contact(sender=Verification(level="none", dmarc="fail")),
        a_contact(personal=ContactPersonalData(text="x")),
    ):
        assert registration_notice(contact, a_routing(contact), TOWN_CONFIG, language=None) is None


def test_a_registration_carries_the_preference_stated_with_the_contact() -> None:
    stated = ReplyAddress(channel="sms", address="+33639980002")
    contact = a_contact(channel="email", personal=ContactPersonalData(reply_channels=(stated,)))
    notice = registration_notice(contact, a_routing(contact), TOWN_CONFIG, language="tr")
    assert notice is not None
    assert notice.personal.stated == (stated,)
    assert notice.language == "fr"
