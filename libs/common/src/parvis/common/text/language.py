"""A text in, the code of its language out, or none when nobody could be sure. Pure; no I/O after the model is loaded."""

import math
import os
import re
from functools import cache
from typing import TYPE_CHECKING

from parvis.common.contract.contact import Language

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

# What citizens of a town write in; a closed list keeps two greetings from being read as Walloon or Corsican.
SPOKEN = ("fr", "en", "es", "pt", "de", "it", "ar", "tr", "uk", "nl", "pl", "ro", "ru", "zh", "vi", "fa")
FEWEST_LETTERS = 16
_READ_CHARACTERS = 500  # more does not change the verdict, and costs
# How sure it must be of so many letters: a few never make it very sure, and of many doubt means a language that is not in the list.
# On 2,800 beginnings of public texts of 16, 30, 60 and 200 letters: .79, .95, .99 and .99 right, .004, .001, .001 and .001 wrong, the
# others without a verdict (with .9 for all: .61, .89, .97, .99). English asks for more: no French one was taken for it.
_SURE = ((40, 0.6), (80, 0.8), (math.inf, 0.95))
_SURE_OF_ENGLISH = 0.8
_FIRST_IDEOGRAPH, _A_LETTER_OF_CHINESE = "\u2e80", 3  # is worth as much as three of an alphabet
_KANA = re.compile("[\u3040-\u30ff]")


def load_language_model() -> None:
    """Load the model now, rather than at the first text. Idempotent."""
    _identifier()


def detect_language(text: str) -> Language | None:
    """The language of a text: one of SPOKEN; none for fewer than sixteen letters or a doubtful verdict.

    The first call loads the model (about a second): a service calls load_language_model when it starts.
    """
    beginning = text[:_READ_CHARACTERS]
    letters = sum(map(str.isalpha, beginning))
    if letters < FEWEST_LETTERS and letters + _more_in_chinese(beginning) < FEWEST_LETTERS:
        return None
    language, confidence = _identifier().classify(beginning.encode("utf-8", "replace").decode())
    wanted = next(sure for most, sure in _SURE if letters < most)
    if confidence < (max(wanted, _SURE_OF_ENGLISH) if language == "en" else wanted):
        return None
    return None if language == "zh" and _KANA.search(beginning) else str(language)


def _more_in_chinese(text: str) -> int:
    ideographs = sum(character >= _FIRST_IDEOGRAPH and character.isalpha() for character in text)
    return ideographs * (_A_LETTER_OF_CHINESE - 1)


@cache
def _identifier() -> "LanguageIdentifier":
    # Before numpy is there: a verdict is a product of small matrices, and threads for it took ten times as long on a busy machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # noqa: TID251 (a library's own, not a setting of ours)
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(SPOKEN)
    # Nobody asks for the other hundred languages: 60 MB a process.
    identifier._full_model = identifier.nb_ptc, identifier.nb_pc, identifier.nb_classes  # pyright: ignore[reportPrivateUsage]
    return identifier
