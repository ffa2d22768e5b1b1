"""Tests the texts that agents insert: which are refused with their line, and how variables are filled in."""

from pathlib import Path

import pytest

from parvis.common.contract.errors import Misconfigured
from parvis.common.town.answer_texts import fill_answer_text, has_open_variable, load_answer_texts
from parvis.common.town.loading import load_town_config

CONFIG = Path(__file__).parents[4] / "config" / "example-town"
TOWN = load_town_config(CONFIG)
ONE = """answers:
  - slug: one
    title: {fr: Un, en: One}
    text:
      fr: Bonjour {citizen|Madame, Monsieur}
      en: Hello
"""


def test_the_example_town_has_texts_for_all_and_for_some() -> None:
    answers = load_answer_texts(CONFIG, TOWN)

    assert {a.slug for a in answers if a.fits("voirie", None)} == {"in-hand", "repair-planned"}
    assert {a.slug for a in answers if a.fits("etat-civil", "birth-certificate")} == {"in-hand", "missing-document"}


def test_a_town_without_the_file_has_none(tmp_path: Path) -> None:
    assert load_answer_texts(tmp_path, TOWN) == ()


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("{citizen|", "{citizn|", "'citizn' is not known"),
        ("{citizen|Madame, Monsieur}", "{citizen", "'{citizen' is not known"),
        ("    text:", "    departments: [nowhere]\n    text:", "'nowhere' is not known"),
        ("    text:", "    procedures: [nothing]\n    text:", "'nothing' is not known"),
        ("      en: Hello\n", "", "no text in en"),
        (ONE[9:], ONE[9:] * 2, "two answers have the slug 'one'"),
    ],
)
def test_a_mistake_is_refused_with_its_file(tmp_path: Path, before: str, after: str, sentence: str) -> None:
    (tmp_path / "answers.yaml").write_text(ONE.replace(before, after))

    with pytest.raises(Misconfigured, match=r"answers\.yaml") as refused:
        load_answer_texts(tmp_path, TOWN)
    assert sentence in str(refused.value)


def test_a_variable_gets_its_value_its_fallback_or_stays_open() -> None:
    text = "{citizen|Madame, Monsieur}, {procedure}"

    assert fill_answer_text(text, {"citizen": "{procedure}", "procedure": "un acte"}) == "{procedure}, un acte"
    assert fill_answer_text(text, {"citizen": ""}) == "Madame, Monsieur, {procedure}"
    assert has_open_variable("Bonjour {procedure}")
    assert not has_open_variable("Voir { } ou {1} et l’article {L. 111-2}.")
