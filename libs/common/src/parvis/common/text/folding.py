"""Folds text for comparison: without case, accents and ligatures. Pure; no I/O."""

import unicodedata

# Letters that NFKD leaves whole.
_LIGATURES = str.maketrans(
    {"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ı": "i", "Œ": "OE", "Æ": "AE", "Ø": "O", "Ł": "L", "Đ": "D"}
)


def fold(text: str) -> str:
    """Lower case, without accents: « Œuvre à l'Île » becomes "oeuvre a l'ile"."""
    return strip_accents(unicodedata.normalize("NFKD", text).casefold())


def fold_words(text: str) -> str:
    """The folded words of a text, letters and digits only, with one space between two: "L'eau, s.v.p." becomes "l eau s v p"."""
    return " ".join("".join(character if character.isalnum() else " " for character in fold(text)).split())


def strip_accents(text: str) -> str:
    """The text in its own case, without accents and ligatures: « Œuvre à l'Île » becomes "OEuvre a l'Ile"."""
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFKD", text).translate(_LIGATURES)
    return "".join(character for character in decomposed if not unicodedata.combining(character))
