"""Compiles the words and patterns of rules into RE2 patterns for folded text, and folds texts. Pure."""

import re
import unicodedata

import re2

# Letters that NFKD does not decompose, apostrophes, hyphens; OCR writes ¬ for the hyphen at the end of a line.
_LETTERS = str.maketrans(
    {"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ı": "i", "’": "'", "ʼ": "'", "\u2010": "-", "¬": "-"}
)

# Format characters and variation selectors: soft hyphen, zero-width space, joiners, marks of direction.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]+"
)
# A literal first, so that the search goes from hyphen to hyphen and does not look back at each letter.
_DIVIDED = re.compile(r"-(?<=[^\W\d_].)[ \t\r]*\n[ \t]*(?=[^\W\d_])")


def fold(text: str) -> str:
    """Lower case without accents: `Été`, `ete` and `ÉTÉ` become equal. Idempotent."""
    if text.isascii():
        return text.lower()
    # Latin-1 and typographic punctuation fold byte by byte: a French text in 2 µs instead of 40.
    plain = text.replace("’", "'").replace("œ", "oe")
    try:
        return _fold_latin(plain)
    except UnicodeEncodeError:
        parts = _BEYOND_LATIN.split(plain)
    parts[::2] = map(_fold_latin, parts[::2])
    parts[1::2] = map(_fold_any, parts[1::2])
    return "".join(parts)


def fold_for_matching(text: str) -> str:
    """Folded and valid UTF-8, as RE2 needs it; a lone surrogate becomes "?".

    Invisible characters are left out. Where words are divided at the end of a line, the text follows once more with these joined.
    """
    folded = fold(text)
    if _may_have_invisible(folded):
        folded = _INVISIBLE.sub("", folded)
    if "\n" in folded and _DIVIDED.search(folded):
        folded = f"{folded}\n{_DIVIDED.sub('', folded)}"
    return folded if folded.isascii() else folded.encode("utf-8", "replace").decode("utf-8")


def _may_have_invisible(folded: str) -> bool:
    """Whether a folded text may have invisible characters. Of Latin-1, which most texts are, only the soft hyphen is."""
    if folded.isascii():
        return False
    try:
        return b"\xad" in folded.encode("latin-1")
    except UnicodeEncodeError:
        return True


def _fold_any(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold()).casefold().translate(_LETTERS)
    return "".join(character for character in plain if not unicodedata.combining(character))


def _fold_latin(text: str) -> str:
    if text.isascii():
        return text.lower()
    folded = text.encode("latin-1").translate(_LATIN).decode("latin-1")
    for letter, plain in _LONGER.items():
        if letter in folded:
            folded = folded.replace(letter, plain)
    return folded


def compile_term(term: str) -> str:
    """The RE2 pattern of a word or phrase: whole words, plurals in s and x, `*` at the end of a word for any ending.

    RE2's `\\b` is ASCII only, and folded French is ASCII; in other scripts a word also matches inside longer ones.
    """
    words = _words(term)
    source = "[^a-z0-9]+".join(_one_word(word) for word in words)
    before = r"\b" if words[0][0].isascii() else ""
    after = r"\b" if words[-1].rstrip("*")[-1].isascii() and not words[-1].endswith("*") else ""
    return f"{before}{source}{after}"


def has_words(term: str) -> bool:
    """Whether a term contains a letter or digit, so that it can match anything."""
    return bool(_words(term))


def split_ascii_words(term: str) -> list[str] | None:
    """The words of a term; None unless all are whole ASCII words without a star."""
    words = _words(term)
    return words if all(word.isascii() and word.isalnum() for word in words) else None


def normalize_pattern(pattern: str) -> str:
    """An operator's pattern for folded text: without accents, case-insensitive."""
    return "(?i)" + "".join(character if character.isascii() else fold(character) for character in pattern)


def _words(term: str) -> list[str]:
    """The folded words of a term; anything but letters and digits separates them, a star ends one."""
    spaced = "".join(character if character.isalnum() or character == "*" else " " for character in fold(term))
    words = (word.rstrip("*") + "*" * word.endswith("*") for word in spaced.split())
    return [word for word in words if word.strip("*")]


def _one_word(word: str) -> str:
    if word.endswith("*"):
        return re2.escape(word[:-1]) + r"[\pL\pN]*"
    return re2.escape(word) + ("(?:s|x)?" if word.isalpha() else "")


_BEYOND_LATIN = re.compile("([^\\x00-\\xff]+)")
_EACH = {letter: _fold_any(letter) for letter in map(chr, range(256))}
# `ß` and `½` fold to more than one Latin-1 character, or to none.
_LONGER = {letter: plain for letter, plain in _EACH.items() if len(plain) != 1 or plain > "\xff"}
_LATIN = "".join(letter if letter in _LONGER else plain for letter, plain in _EACH.items()).encode("latin-1")
