"""A text in, its language out, of those that a French town hall is written to. Pure; no I/O."""

from functools import cache
from typing import Any

from py3langid.langid import MODEL_FILE, LanguageIdentifier

_LANGUAGES = ("fr", "en", "de", "es", "it", "pt", "tr", "ar", "zh")
_FEWEST_LETTERS = 25  # « Bonjour » alone is French and Catalan and more
_SURE = 0.8
_CHARACTERS = 4000  # the beginning of a letter tells; the end may be a form in another language


def language_of(text: str) -> str | None:
    """The two-letter code, or none when there is too little text to tell."""
    beginning = text[:_CHARACTERS]
    if sum(character.isalpha() for character in beginning) < _FEWEST_LETTERS:
        return None
    language, confidence = _identifier().classify(beginning)
    return str(language) if confidence >= _SURE else None


@cache
def _identifier() -> Any:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(_LANGUAGES)
    return identifier
