"""Facts about the question “which one?”: its text, its deadline, the answers to it."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.contact import ContactId
from parvis.common.contract.references import make_reference
from parvis.common.testing import AN_INSTANT, a_contact
from parvis.common.text.sms_encoding import count_segments, simplify_typography
from parvis.common.town.loading import load_town_config
from parvis.common.town.templates import load_templates
from parvis.router.decide.clarification import (
    ClarificationTimeout,
    answer_deadline,
    ask_which_conversation,
    asks_for_new_conversation,
    parse_answer,
)
from parvis.router.models.stored_rows import Conversation

EXAMPLE = Path(__file__).parents[3] / "config" / "example-town"
TOWN_CONFIG = load_town_config(EXAMPLE)
TEMPLATES = load_templates(EXAMPLE, TOWN_CONFIG)
PARIS = ZoneInfo("Europe/Paris")
DEPARTMENTS, PROCEDURES = sorted(TOWN_CONFIG.departments), [None, *sorted(TOWN_CONFIG.procedures)]


def conversations(*about: tuple[str, str | None]) -> list[Conversation]:
    return [
        Conversation(
            id=uuid4(),
            reference=make_reference(ContactId(f"{number}")),
            department=department,
            sequence=1,
            procedure=procedure,
            opened_at=AN_INSTANT + timedelta(days=number),
            last_contact_at=AN_INSTANT,
        )
        for number, (department, procedure) in enumerate(about)
    ]


def choices_text(*about: tuple[str, str | None], language: str = "fr") -> str:
    contact = a_contact(text="un mot secret")
    reply = ask_which_conversation(
        contact, conversations(*about), TOWN_CONFIG, TEMPLATES, language=language, at=AN_INSTANT
    )
    return reply.personal.text


def test_a_question_names_the_sources_of_its_contact() -> None:
    contact = a_contact(sources=("s1.home",))
    choices = conversations(("voirie", None), ("etat-civil", None))
    reply = ask_which_conversation(contact, choices, TOWN_CONFIG, TEMPLATES, language="fr", at=AN_INSTANT)
    assert reply.sources == contact.sources


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2", 2),
        ("2.", 2),
        (" 2) ", 2),
        ("le 2", 2),
        ("n° 2 svp", 2),
        ("N°2", 2),
        ("la 3, merci", 3),
        ("deux", 2),
        ("la deuxième", 2),
        ("C'est le 1er", 1),
        ("the second one", 2),
        ("one", 1),
        ("numéro deux s'il vous plaît", 2),
        ("Le n° 2, merci beaucoup", 2),
        ("la première, bonne journée", 1),
        ("2️⃣", 2),
        ("②", 2),
        ("0", "other"),
        ("Autre !", "other"),
        ("une autre", "other"),
        ("autre demande", "other"),
        ("new", "other"),
        ("none of them", "other"),
        ("aucune des deux", "other"),
    ],
)
def test_a_short_answer_names_a_choice(text: str, meant: object) -> None:
    assert parse_answer(text, 3) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4",
        "12",
        "1 et 2",
        "les deux",
        "Les 2 svp",
        "both of them",
        "2 enfants à inscrire",
        "STOP",
        "stop",
        "aide",
        "oui",
        "non",
        "merci",
        "?",
        "le lampadaire",
    ],
)
def test_a_text_that_names_no_choice_or_two_is_no_answer(text: str) -> None:
    assert parse_answer(text, 3) is None


@given(st.text(max_size=120), st.integers(1, 9))
def test_parsing_an_answer_never_raises_or_names_a_choice_that_was_not_offered(text: str, count: int) -> None:
    meant = parse_answer(text, count)
    assert meant in {None, "other", *range(1, min(count, 5) + 1)}


def test_a_message_can_declare_itself_a_new_request() -> None:
    assert asks_for_new_conversation("Nouvelle demande : un arbre est tombé")
    assert asks_for_new_conversation("New request, the lamp is broken")
    assert not asks_for_new_conversation("Nouveau lampadaire cassé")


def test_the_list_names_procedure_or_department_day_and_reference() -> None:
    first, second = conversations(("etat-civil", "birth-certificate"), ("voirie", None))
    assert choices_text(("etat-civil", "birth-certificate"), ("voirie", None)).split("\n") == [
        f"1. Demander un acte de naissance, 02/03, {first.reference}",
        f"2. Voirie et éclairage, 03/03, {second.reference}",
        "0. autre demande",
    ]
    assert choices_text(("voirie", None), ("triage", None), language="en").endswith("0. another request")


def test_the_question_does_not_quote_the_message_and_goes_back_to_its_channel() -> None:
    contact = a_contact(text="un mot secret", channel="whatsapp")
    choices = conversations(("voirie", None), ("triage", None))
    reply = ask_which_conversation(contact, choices, TOWN_CONFIG, TEMPLATES, language="fr", at=AN_INSTANT)
    assert "secret" not in reply.model_dump_json()
    assert [(stated.channel, stated.address) for stated in reply.personal.stated] == [("whatsapp", "+33639980001")]
    assert (reply.kind, reply.template, reply.legal) == ("question", "question", False)
    repeated = ask_which_conversation(contact, choices, TOWN_CONFIG, TEMPLATES, language="fr", at=AN_INSTANT)
    assert reply.reply_id == repeated.reply_id


@given(
    st.lists(st.tuples(st.sampled_from(DEPARTMENTS), st.sampled_from(PROCEDURES)), min_size=2, max_size=7),
    st.sampled_from(["fr", "en", "tr"]),
)
def test_every_question_fits_into_two_segments(about: list[tuple[str, str | None]], language: str) -> None:
    contact = a_contact()
    reply = ask_which_conversation(
        contact, conversations(*about), TOWN_CONFIG, TEMPLATES, language=language, at=AN_INSTANT
    )
    names = {"text": reply.personal.text, "town": TOWN_CONFIG.town.name[reply.language]}
    whole = TEMPLATES.find("question", reply.language, "sms").render(names).text
    assert count_segments(simplify_typography(whole))[1] <= 2
    assert reply.personal.text.count("\n") == min(len(about), 5)


def test_only_daytime_counts_towards_the_deadline_for_an_answer() -> None:
    def until(text: str) -> str:
        asked_at = datetime.fromisoformat(text).replace(tzinfo=PARIS).astimezone(UTC)
        return (
            answer_deadline(asked_at, ClarificationTimeout(), PARIS)
            .astimezone(PARIS)
            .isoformat(timespec="minutes")[:16]
        )

    assert until("2026-03-02T10:00") == "2026-03-02T12:00"
    assert until("2026-03-02T19:30") == "2026-03-03T09:30"
    assert until("2026-03-02T23:00") == "2026-03-03T10:00"
    assert until("2026-03-28T19:00") == "2026-03-29T09:00"  # the night in which the clocks change


@given(
    st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1)),  # noqa: DTZ001
    st.integers(0, 72 * 60),
    st.integers(0, 23),
    st.integers(0, 23),
)
def test_the_deadline_leaves_at_least_the_promised_minutes(
    local_time: datetime, minutes: int, begins: int, ends: int
) -> None:
    asked_at = local_time.replace(tzinfo=UTC)
    asking = ClarificationTimeout(timedelta(minutes=minutes), time(begins), time(ends))
    assert answer_deadline(asked_at, asking, PARIS) - asked_at >= timedelta(minutes=minutes)
