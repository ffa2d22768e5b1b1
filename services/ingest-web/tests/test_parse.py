"""Tests the parsing of forms into answers and problems; parsing never raises."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.town.loading import load_town_config
from parvis.ingest_web.models.form import FormFile
from parvis.ingest_web.parse.submitted_form import parse_form
from parvis.ingest_web.render.form_to_contact import truncate_answers, truncate_to_json_size
from parvis.web.translations import Translations

CONFIG = Path(__file__).parents[3] / "config" / "example-town"
TOWN_CONFIG = load_town_config(CONFIG)
TODAY = date(2026, 3, 2)
WORDS = Translations.read(Path(__file__).parents[1] / "src/parvis/ingest_web/words", languages=("fr", "en"))
NAMES = sorted(
    {f.name for p in TOWN_CONFIG.procedures.values() for f in p.form}
    | {"your-name", "reply-channel", "reply-sms", "reply-email", "reply-post", "reply-phone", "_website"}
)
MEALS = {
    "child_name": ["Zoé"],
    "child_birth_date": ["2019-05-04"],
    "school": ["la-source"],
    "days": ["friday", "monday"],
    "start_date": ["2026-03-02"],
    "rules_accepted": ["yes"],
    "your-name": ["Camille  Exemple"],
    "reply-channel": ["email"],
    "reply-email": ["camille@example-town.example"],
}


@given(
    st.sampled_from(sorted(TOWN_CONFIG.procedures)),
    st.dictionaries(
        st.sampled_from(NAMES),
        st.lists(
            st.text() | st.sampled_from(["sms", "email", "post", "phone", "+", "@", "1/1/1", "9999-99-99"]), max_size=3
        ),
    ),
)
def test_nothing_that_is_typed_makes_the_reader_raise(slug: str, fields: dict[str, list[str]]) -> None:
    filled = parse_form(TOWN_CONFIG.procedures[slug], fields, {}, today=TODAY)

    for problem in filled.problems.values():
        assert f"problem_with.{problem.key}" in WORDS.sentences["fr"]


def meals(**changes: str) -> dict[str, list[str]]:
    return MEALS | {name.replace("__", "-"): [value] for name, value in changes.items()}


def problems(**changes: str) -> dict[str, str]:
    filled = parse_form(TOWN_CONFIG.procedures["school-meals"], meals(**changes), {}, today=TODAY)
    return {name: problem.key for name, problem in filled.problems.items()}


def test_a_good_form_is_read_as_it_is_meant() -> None:
    filled = parse_form(TOWN_CONFIG.procedures["school-meals"], MEALS, {}, today=TODAY)

    assert not filled.problems
    assert filled.answers["days"] == "monday,friday"
    assert filled.answers["rules_accepted"] == "yes"
    assert filled.name == "Camille Exemple"


@pytest.mark.parametrize(
    ("field", "typed", "problem"),
    [
        ("child_birth_date", "31/02/2019", "no_date"),
        ("child_birth_date", "2026-03-03", "too_late"),
        ("start_date", "2026-03-01", "too_early"),
        ("school", "other", "unknown_choice"),
        ("child_name", "x" * 121, "too_long"),
        ("rules_accepted", " ", "consent_needed"),
        ("reply__email", "camille", "email_wrong"),
        ("reply__channel", "pigeon", "reply_needed"),
    ],
)
def test_each_mistake_has_its_sentence(field: str, typed: str, problem: str) -> None:
    assert problems(**{field: typed}) == {field.replace("__", "-"): problem}


def test_dates_are_read_as_people_write_them() -> None:
    filled = parse_form(TOWN_CONFIG.procedures["school-meals"], meals(child_birth_date="4/5/2019"), {}, today=TODAY)

    assert filled.answers["child_birth_date"] == "2019-05-04"


def test_a_landline_gets_no_sms() -> None:
    assert problems(reply__channel="sms", **{"reply-sms": "01 42 34 56 78"}) == {"reply-sms": "sms_landline"}
    assert problems(reply__channel="sms", **{"reply-sms": "06 39 98 00 01"}) == {}


def test_too_many_files_are_a_problem() -> None:
    file = FormFile("a.png", 10, "image/png", "0" * 64)
    fields = {"problem": ["lamp"], "place": ["ici"]}

    filled = parse_form(TOWN_CONFIG.procedures["road-report"], fields, {"photo": [file] * 4}, today=TODAY)

    assert filled.problems["photo"].key == "too_many_files"


@given(st.text(max_size=300), st.integers(min_value=2, max_value=200))
def test_a_fitting_text_is_a_beginning_that_fits(words: str, room_bytes: int) -> None:
    import json

    words = words.encode("utf-8", "replace").decode()
    cut = truncate_to_json_size(words, room_bytes)

    assert words.startswith(cut)
    assert len(json.dumps(cut, ensure_ascii=False).encode()) <= room_bytes


def test_answers_too_long_together_are_cut_not_dropped() -> None:
    answers = truncate_answers({"a": "x" * 30_000, "b": "short", "c": "y" * 30_000})

    assert sorted(answers) == ["a", "b", "c"]
    assert answers["b"] == "short"


def test_an_address_with_too_many_lines_is_told_so() -> None:
    lines = [f"Résidence {n}" for n in range(5)]
    seven = "\n".join([*lines, "1 rue des Lilas", "65000 Exemple"])
    assert problems(**{"reply-channel": "post", "reply-post": seven}) == {"reply-post": "post_too_long"}


def test_a_name_typed_without_its_accent_is_not_written_twice() -> None:
    typed = meals(
        **{
            "your-name": "Zoé Exemple",
            "reply-channel": "post",
            "reply-post": "ZOE EXEMPLE\n1 rue des Lilas\n65000 Exemple",
        }
    )
    filled = parse_form(TOWN_CONFIG.procedures["school-meals"], typed, {}, today=TODAY)
    assert filled.reply
    assert len(filled.reply.address.split("\n")) == 3


@pytest.mark.parametrize(
    ("channel", "address"),
    [("email", TOWN_CONFIG.town.mailbox), ("phone", "05 36 49 01 01"), ("email", "Mairie@Example-Town.example")],
)
def test_an_address_of_the_town_is_nobodys(channel: str, address: str) -> None:
    fields = meals(**{"reply__channel": channel, f"reply__{channel}": address})
    procedure, own = TOWN_CONFIG.procedures["school-meals"], TOWN_CONFIG.own_addresses
    assert parse_form(procedure, fields, {}, today=TODAY, own=own).problems[f"reply-{channel}"].key == "own_address"


def test_what_shows_nothing_is_no_answer() -> None:
    assert problems(child_name=" \u200b\u2060") == {"child_name": "required"}
