"""Answers are read as people say them."""

from pathlib import Path

from parvis.common.town.loading import load_town_config
from parvis.web.format_form_answers import format_answers

TOWN_CONFIG = load_town_config(Path(__file__).parents[3] / "config" / "example-town")


def test_answers_stand_under_their_questions_in_the_forms_order() -> None:
    answers = {"gone": "x", "days": "monday,friday", "child_birth_date": "2019-05-04", "rules_accepted": "yes"}

    assert format_answers(TOWN_CONFIG, "school-meals", answers, "fr") == (
        ("Date de naissance de l’enfant", "04/05/2019"),
        ("Quels jours\xa0?", "Lundi, Vendredi"),
        ("J’ai lu le règlement de la cantine.", "oui"),
        ("gone", "x"),
    )


def test_a_day_cannot_be_read_in_two_ways() -> None:
    assert format_answers(TOWN_CONFIG, "school-meals", {"child_birth_date": "2019-05-04"}, "en")[0][1] == "4 May 2019"


def test_what_does_not_fit_its_field_is_shown_as_it_is() -> None:
    assert format_answers(TOWN_CONFIG, "school-meals", {"child_birth_date": "hier"}, "en")[0][1] == "hier"
    assert format_answers(TOWN_CONFIG, None, {"a": "b"}, "en") == (("a", "b"),)
