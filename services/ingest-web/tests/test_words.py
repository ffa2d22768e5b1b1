"""Tests that the form's words have the same keys in each language."""

import re
from pathlib import Path

from parvis.web.translations import Translations


def test_both_languages_have_the_same_sentences_with_the_same_values() -> None:
    words = Translations.read(Path(__file__).parents[1] / "src/parvis/ingest_web/words", languages=("fr", "en"))

    def values(language: str) -> dict[str, set[str]]:
        return {key: set(re.findall(r"{(\w+)", said)) for key, said in words.sentences[language].items()}

    assert values("fr") == values("en")
