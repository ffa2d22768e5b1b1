"""A text in, the code of its language out, or none when nobody could be sure. Pure; no I/O after the model is loaded."""

import os
from functools import cache
from typing import TYPE_CHECKING

from parvis.common.contact import Language

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

# What citizens of a town write in; a closed list keeps two greetings from being read as Walloon or Corsican.
SPOKEN = ("fr", "en", "es", "pt", "de", "it", "ar", "tr", "uk", "nl", "pl", "ro", "ru", "zh", "vi", "fa")
FEWEST_LETTERS = 20
_READ_CHARACTERS = 500  # more does not change the verdict, and costs
_SURE = 0.9  # on 1,100 short texts of these languages: 0.3 % left without a verdict, none wrong


def language_of(text: str) -> Language | None:
    """The language of a text: one of SPOKEN; none for fewer than twenty letters or a doubtful verdict.

    The first call loads the model (about a second): a service makes it when it starts.
    """
    beginning = text[:_READ_CHARACTERS]
    if sum(map(str.isalpha, beginning)) < FEWEST_LETTERS:
        return None
    language, confidence = _identifier().classify(beginning.encode("utf-8", "replace").decode())
    return str(language) if confidence >= _SURE else None


@cache
def _identifier() -> "LanguageIdentifier":
    # Before numpy is there: a verdict is a product of small matrices, and threads for it took ten times as long on a busy machine.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # noqa: TID251 (a library's own, not a setting of ours)
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(SPOKEN)
    return identifier
