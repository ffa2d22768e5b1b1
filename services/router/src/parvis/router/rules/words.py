"""Words as operators write them in, patterns for folded text out. Pure."""

import unicodedata

import re2

# Letters that NFKD does not take apart.
_LETTERS = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ı": "i", "’": "'", "ʼ": "'"})


def fold(text: str) -> str:
    """Small letters without accents, so that `Été`, `ete` and `ÉTÉ` are one."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text.casefold()).casefold().translate(_LETTERS)
    return "".join(character for character in plain if not unicodedata.combining(character))


def word_source(term: str) -> str:
    """The pattern of a word or phrase: whole words, plurals in s and x, `*` at the end of a word for any ending.

    `\\b` is of ASCII in RE2, and folded French is ASCII; for other scripts a word is found inside longer ones too.
    """
    words = _words(term)
    source = "[^a-z0-9]+".join(_one_word(word) for word in words)
    before = r"\b" if words[0][0].isascii() else ""
    after = r"\b" if words[-1].rstrip("*")[-1].isascii() and not words[-1].endswith("*") else ""
    return f"{before}{source}{after}"


def has_words(term: str) -> bool:
    """Whether a term holds anything that can be looked for."""
    return bool(_words(term))


def pattern_source(pattern: str) -> str:
    """An operator's pattern, for the folded text: its accents are taken off, its letters fit both cases."""
    return "(?i)" + "".join(character if character.isascii() else fold(character) for character in pattern)


def _words(term: str) -> list[str]:
    """The words of a term, folded; what is neither a letter nor a digit parts them, a star ends one."""
    spaced = "".join(character if character.isalnum() or character == "*" else " " for character in fold(term))
    words = (word.rstrip("*") + "*" * word.endswith("*") for word in spaced.split())
    return [word for word in words if word.strip("*")]


def _one_word(word: str) -> str:
    if word.endswith("*"):
        return re2.escape(word[:-1]) + r"[\pL\pN]*"
    return re2.escape(word) + ("(?:s|x)?" if word.isalpha() else "")
