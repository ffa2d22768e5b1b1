"""Compares how much two versions of a text say, by their words. Pure; no I/O."""

import re

_SHORT_CHARACTERS = 400
_FEWEST_MORE = 4
_TIMES = 1.5
_CONTAINED = 0.8
# Not words of the text: link targets and what stands for a picture.
_NO_WORDS = re.compile(r"<[^<>\s]{1,2000}>|https?://\S+|\[(?:cid:|image:?)[^\[\]]{0,300}\]", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
_INVISIBLE = re.compile("[\u00ad\u034f\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff\ufffc]+")


def has_words(text: str) -> bool:
    """Whether a text has a word, beside invisible characters, punctuation, links and pictures."""
    return bool(list_words(text)) or "http" in text.lower()


def is_blank(text: str) -> bool:
    """Whether nothing of a text can be seen."""
    return not _INVISIBLE.sub("", text).strip()


def is_short(text: str) -> bool:
    return len(text) <= _SHORT_CHARACTERS


def says_more(page: str, text: str) -> bool:
    """Whether a page has clearly more words than a short text, or others."""
    if not is_short(text):
        return False
    words = len(list_words(text))
    if not says_nothing_else(page, text) and not says_nothing_else(text, page):
        return True
    return len(list_words(page)) >= max(words + _FEWEST_MORE, words * _TIMES)


def says_nothing_else(text: str, page: str) -> bool:
    """Whether nearly all words of a text stand in the page too."""
    words, on_page = list_words(text), set(list_words(page))
    return sum(word in on_page for word in words) >= len(words) * _CONTAINED


def lacks_words(text: str, page: str) -> bool:
    """Whether a page has words that a text lacks, as when a table is left out of the text version."""
    return len(set(list_words(page)) - set(list_words(text))) >= _FEWEST_MORE


def list_words(text: str) -> list[str]:
    return _WORD.findall(_INVISIBLE.sub("", _NO_WORDS.sub(" ", text)).casefold())
