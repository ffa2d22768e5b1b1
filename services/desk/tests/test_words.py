"""Tests the desk's words: the same keys in each language, and one for each possible state."""

import re
from pathlib import Path
from typing import get_args

from parvis.common.contract.delivery import DeliveryState, FailureClass, LetterStage
from parvis.common.contract.reply import ReplyKind
from parvis.desk.models.case import ACTION_KINDS, STATES
from parvis.desk.pages.dependencies import NOTICES
from parvis.web.translations import Translations

WORDS = Translations.read(Path(__file__).parents[1] / "src/parvis/desk/words", languages=("fr", "en"))


def test_both_languages_have_the_same_sentences_with_the_same_values() -> None:
    def values(language: str) -> dict[str, set[str]]:
        return {key: set(re.findall(r"{(\w+)", sentence)) for key, sentence in WORDS.sentences[language].items()}

    assert values("fr") == values("en")


def test_every_state_has_its_words() -> None:
    keys = (
        [f"notice.{notice}" for notice in NOTICES]
        + [f"act.{act}" for act in ACTION_KINDS]
        + [f"state.{state}" for state in STATES]
        + [f"delivery.{state}" for state in get_args(DeliveryState)]
        + [f"stage.{stage}" for stage in get_args(LetterStage)]
        + [f"failure.{failure}" for failure in get_args(FailureClass)]
        + [f"kind.{kind}" for kind in get_args(ReplyKind)]
    )

    assert [key for key in keys if key not in WORDS.sentences["fr"]] == []


def test_every_refusal_has_its_words() -> None:
    source = Path(__file__).parents[1] / "src/parvis/desk/decide"
    raising = r'(?:Rejected\(|_read\([^)]*, )"([a-z_]+)"\)'
    raised = {key for file in source.glob("*.py") for key in re.findall(raising, file.read_text())}

    assert len(raised) > 10
    assert {f"wrong.{key}" for key in raised} <= set(WORDS.sentences["fr"])
