"""Folds text for comparison: without case, accents and ligatures. Pure; no I/O."""

import unicodedata

_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ı": "i"})  # NFKD leaves these whole


def fold(text: str) -> str:
    """Lower case, without accents: « Œuvre à l'Île » becomes "oeuvre a l'ile"."""
    decomposed = unicodedata.normalize("NFKD", text.casefold()).translate(_LIGATURES)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def fold_words(text: str) -> str:
    """The folded words of a text, letters and digits only, with one space between two: "L'eau, s.v.p." becomes "l eau s v p"."""
    return " ".join("".join(character if character.isalnum() else " " for character in fold(text)).split())
