"""Tests how sentences are set in French and English."""

import pytest

from parvis.common.text.typography import typeset


@pytest.mark.parametrize(
    ("language", "written", "printed"),
    [
        ("fr", "Service de l'état civil : à l'accueil", "Service de l’état civil\xa0: à l’accueil"),
        ("fr", "Choisissez « Je n'ai rien » !", "Choisissez «\xa0Je n’ai rien\xa0»\xa0!"),
        ("fr", "De 8 h 30 à 12 h, https://exemple.example", "De 8\xa0h\xa030 à 12\xa0h, https://exemple.example"),
        (
            "fr",
            "Appelez le 05 36 49 01 01 : 12 € ou 5 %",
            "Appelez le 05\xa036\xa049\xa001\xa001\xa0: 12\xa0€ ou 5\xa0%",
        ),
        ("en", "The town's office : open", "The town’s office : open"),
        ("en", "Write 'yes' or 5'6", "Write 'yes' or 5'6"),
    ],
)
def test_a_sentence_is_set_as_its_language_prints_it(language: str, written: str, printed: str):
    assert typeset(written, language) == printed
    assert typeset(printed, language) == printed
