"""Computes the Flesch reading ease of a text, for French with the constants of Kandel and Moles. Pure; no I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SENTENCE_END = re.compile(r"[.!?…]+(?:\s|$)|\n\s*\n")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_VOWELS = re.compile(r"[aeiouyàâäéèêëîïôöùûüÿœæ]+", re.IGNORECASE)
_SILENT = {
    "fr": re.compile(r"(?<=[^aeiouyàâéèêîôû])(?:e|es|ent)$", re.IGNORECASE),
    "en": re.compile(r"(?<=[^aeiouyl])e$", re.IGNORECASE),
}


@dataclass(frozen=True)
class _Measure:
    base: float
    per_sentence: float
    per_word: float


_MEASURES: Mapping[str, _Measure] = {
    "en": _Measure(206.835, 1.015, 84.6),  # R. Flesch, 1948
    "fr": _Measure(207, 1.015, 73.6),  # L. Kandel, A. Moles, 1958
}
HARD = 50  # below it, a text is harder than schoolbooks of the last years


def reading_ease(text: str, language: str) -> int | None:
    """From about 0 (a law) to 100 (a children's book); None for other languages, or without a sentence.

    Shape: lines without final punctuation (`Téléphone : …`) are ignored, as they are no sentences.
    """
    measure = _MEASURES.get(language)
    sentences_only = "\n".join(line for line in text.split("\n") if line.rstrip().endswith((".", "!", "?", "…")))
    words = _WORD.findall(sentences_only)
    if measure is None or not words:
        return None
    sentences = max(1, sum(bool(_WORD.search(part)) for part in _SENTENCE_END.split(sentences_only)))
    syllables = sum(_syllables(word, language) for word in words)
    ease = measure.base - measure.per_sentence * len(words) / sentences - measure.per_word * syllables / len(words)
    return round(ease)


def _syllables(word: str, language: str) -> int:
    return max(1, len(_VOWELS.findall(_SILENT[language].sub("", word))))
