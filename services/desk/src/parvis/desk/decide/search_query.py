"""Parses what an agent searches for into a query of PostgreSQL's full-text search. Pure; no I/O."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from parvis.common.contract.references import LOOK_ALIKES, REFERENCE_ALPHABET
from parvis.common.text.folding import fold
from parvis.common.text.invisible_characters import remove_invisible_characters
from parvis.desk.decide.search_terms import (
    find_mails,
    find_numbers,
    fold_word,
    number_term,
    quote_term,
    reference_terms,
    split_words,
)

MAX_QUERY_LENGTH = 200
_MAX_WORDS = 12
_SHORTEST_PREFIX = 3
_REFERENCE_PART = re.compile(r"(?:P-?)?((?:[0-9A-Z]-?){3,11}[0-9A-Z])")


@dataclass(frozen=True)
class ParsedSearch:
    """What an agent typed: words, telephone numbers, mail addresses, and what may be a part of a reference."""

    text: str
    words: tuple[str, ...] = ()
    numbers: tuple[tuple[str, str], ...] = ()
    mails: tuple[str, ...] = ()
    reference_part: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.words or self.numbers or self.mails)


@dataclass(frozen=True)
class Stems:
    """The stems that PostgreSQL gives a word as written, folded, and as English; None for a word too common to be searched."""

    french: str | None
    folded: str | None
    english: str | None

    @property
    def is_common(self) -> bool:
        """Whether the word says nothing beside others: « de », "the"."""
        return None in (self.french, self.folded, self.english)

    @property
    def found(self) -> list[str]:
        """The stems, each once; none if the word is too common in French."""
        if self.french is None or self.folded is None:
            return []
        return [stem for stem in dict.fromkeys((self.french, self.folded, self.english)) if stem]


def parse_search(typed: str) -> ParsedSearch:
    """Parse the text of the search field. Never fails: what has no meaning is left out."""
    text = " ".join(remove_invisible_characters(typed.replace("\x00", " "))[:MAX_QUERY_LENGTH].split())
    numbers = tuple(find_numbers(text))
    rest = text
    for as_typed, _ in numbers:
        rest = rest.replace(as_typed, " ", 1)
    mails = tuple(find_mails(rest))
    rest = " ".join(part for part in rest.split() if not find_mails(part))
    words = tuple(dict.fromkeys(split_words(rest)))[:_MAX_WORDS]
    return ParsedSearch(text, words, numbers, mails, _reference_part(text))


def _reference_part(text: str) -> str:
    """Four or more characters of a reference, if the whole text can be that; letters alone only after P- or with a hyphen."""
    typed = "".join(text.upper().split())
    match = _REFERENCE_PART.fullmatch(typed)
    if match is None:
        return ""
    part = match[1].replace("-", "").translate(LOOK_ALIKES)
    is_plain_word = typed.isalpha() and typed.isascii()
    return "" if is_plain_word or set(part) - set(REFERENCE_ALPHABET) else part


def build_reference_query(part: str, departments: Sequence[str]) -> str:
    """A query of the messages whose reference may have this part."""
    return " & ".join([_within(departments), *map(quote_term, sorted(reference_terms(part)))])


def build_word_query(parsed: ParsedSearch, stems: Mapping[str, Stems], departments: Sequence[str]) -> str:
    """A query of the messages that have all words, each as a word, the beginning of a name or part of an address. Empty if nothing can be searched."""
    rare = [word for word in parsed.words if not stems[word].is_common] or parsed.words
    words = [_any([*map(quote_term, stems[word].found), *_person_terms(word)]) for word in rare]
    return _all([*words, *_number_terms(parsed, stems), *_mail_terms(parsed)], departments)


def build_person_query(parsed: ParsedSearch, departments: Sequence[str]) -> str:
    """A query of the messages whose sender has all words in their name or address."""
    words = [_any(_person_terms(word)) for word in parsed.words]
    return _all([*words, *(_number(digits) for _, digits in parsed.numbers), *_mail_terms(parsed)], departments)


def word_matcher(parsed: ParsedSearch, stems: frozenset[str]) -> Callable[[str], bool]:
    """A test whether a single word is a form of one that was searched."""
    folded = {fold(stem) for stem in stems}
    typed = {fold(word) for word in parsed.words}
    digits = {digits[-9:] for _, digits in parsed.numbers}

    def matches(word: str) -> bool:
        plain = fold_word(word)
        if len(plain) < 3:
            return plain in typed
        return plain in typed or any(_is_form(plain, stem) for stem in folded) or plain in digits

    return matches


def _is_form(word: str, stem: str) -> bool:
    return len(stem) >= 3 and word.startswith(stem) and len(word) - len(stem) <= 6


def _all(terms: Sequence[str], departments: Sequence[str]) -> str:
    return " & ".join([_within(departments), *terms]) if terms else ""


def _any(terms: Iterable[str]) -> str:
    return f"({' | '.join(terms)})"


def _within(departments: Sequence[str]) -> str:
    return _any(quote_term(f"d:{department}") for department in departments)


def _person_terms(word: str) -> list[str]:
    folded = split_words(fold(word)) or [word]
    return [quote_term(f"n:{folded[0]}") + (":*" if len(folded[0]) >= _SHORTEST_PREFIX else "")]


def _number_terms(parsed: ParsedSearch, stems: Mapping[str, Stems]) -> list[str]:
    """Numbers as telephone numbers, or as the digits that were typed: a file number, a date."""
    found: list[str] = []
    for as_typed, digits in parsed.numbers:
        words = [word for word in split_words(as_typed) if word in stems]
        found.append(_any([_number(digits), f"({' & '.join(map(quote_term, words))})"]) if words else _number(digits))
    return found


def _number(digits: str) -> str:
    """A telephone number, or its last digits; without the trunk prefix, which E.164 does not have."""
    return f"{quote_term(number_term(digits.lstrip('0')))}:*"


def _mail_terms(parsed: ParsedSearch) -> list[str]:
    return [f"{quote_term(f'm:{mail}')}:*" for mail in parsed.mails]
