"""Detects the language of a text, or gives None if the verdict is doubtful. Pure once the model is loaded."""

import math
import os
import re
from functools import cache
from typing import TYPE_CHECKING

from parvis.common.contract.contact import Language

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

# The languages that a town's citizens write in. A closed list keeps two words of greeting from being taken for Walloon or Corsican.
DETECTED_LANGUAGES = ("fr", "en", "es", "pt", "de", "it", "ar", "tr", "uk", "nl", "pl", "ro", "ru", "zh", "vi", "fa")
MIN_LETTERS = 16
_MAX_CHARACTERS = 500  # more does not change the verdict, and costs time
# The confidence that a text of up to so many letters must reach: a few letters never give a high one, and with many a low one means a
# language outside the list. Measured on 2,800 beginnings of public texts of 16, 30, 60 and 200 letters: .79, .95, .99 and .99 right;
# .004, .001, .001 and .001 wrong; the rest None. (With .9 for every length: .61, .89, .97 and .99 right.)
_MIN_CONFIDENCE = ((40, 0.6), (80, 0.8), (math.inf, 0.95))
_MIN_CONFIDENCE_ENGLISH = 0.8  # with this one, no French text of the measurement was taken for English
_FIRST_IDEOGRAPH, _LETTERS_PER_IDEOGRAPH = "\u2e80", 3
_KANA = re.compile("[\u3040-\u30ff]")


def load_language_model() -> None:
    """Loads the model, which takes about a second. Call it at start-up, so that the first message does not wait for it.

    Sets OPENBLAS_NUM_THREADS to 1 in this process unless it is set: threads made the small matrix products of this model ten times
    slower on a busy machine. It counts only if numpy was not imported before.
    """
    _language_identifier()


def detect_language(text: str) -> Language | None:
    """The language of a text, one of DETECTED_LANGUAGES.

    Gives:  None for fewer than 16 letters (an ideograph counts as three) and for a doubtful verdict.
    """
    beginning = text[:_MAX_CHARACTERS]
    letters = sum(map(str.isalpha, beginning))
    if letters < MIN_LETTERS and letters + _ideograph_bonus(beginning) < MIN_LETTERS:
        return None
    language, confidence = _language_identifier().classify(beginning.encode("utf-8", "replace").decode())
    min_confidence = next(minimum for max_letters, minimum in _MIN_CONFIDENCE if letters < max_letters)
    if confidence < (max(min_confidence, _MIN_CONFIDENCE_ENGLISH) if language == "en" else min_confidence):
        return None
    return None if language == "zh" and _KANA.search(beginning) else str(language)


def _ideograph_bonus(text: str) -> int:
    ideographs = sum(character >= _FIRST_IDEOGRAPH and character.isalpha() for character in text)
    return ideographs * (_LETTERS_PER_IDEOGRAPH - 1)


@cache
def _language_identifier() -> "LanguageIdentifier":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # noqa: TID251 (the library's own variable, not a setting of ours)
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(DETECTED_LANGUAGES)
    # Frees the arrays of the other hundred languages: 60 MB a process.
    identifier._full_model = identifier.nb_ptc, identifier.nb_pc, identifier.nb_classes  # pyright: ignore[reportPrivateUsage]
    return identifier
