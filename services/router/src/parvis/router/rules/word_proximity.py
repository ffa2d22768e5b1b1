"""Finds words that stand near each other, in any order and with a typing error each, in a folded text. Pure.

A rule writes `gaz & odeur | fuite | sent* | ne répond/bouge plus`: one word or phrase of each part, at most eight words apart;
`@smell` stands for all words of the lexicon under that name. A star takes any ending, a slash stands between words that may
take each other's place in a phrase. Short words without meaning ("de", "the") are not counted. A word of five letters or more may
have one letter wrong, missing, doubled or exchanged; a word may lack its apostrophe (« jai ») or be written as it sounds.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from parvis.router.rules.proximity_vocabulary import UNCOUNTED, NearVocabulary, WordMatches, squeeze
from parvis.router.rules.term_patterns import fold

_WINDOW = 8
_PHRASE_STEP = 2  # counted words from one word of a phrase to the next: one may stand between
_PHRASE_TOKENS = 6  # words in all from one word of a phrase to the next
_WORD = re.compile(r"[^\W_]+")
_NAME = re.compile(r"@\S+")  # alone, the name stands for all words and phrases under it
_SEPARATORS = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalnum()})

Lexicon = Mapping[str, Sequence[str]]
Phrase = tuple[frozenset[str], ...]


class NearError(ValueError):
    """A `near` condition with a part that has no words, or with a name that the lexicon does not have."""


@dataclass(frozen=True)
class NearTerm:
    """One `near` condition: a phrase of each part must occur; words of an `unless` phrase are not looked at."""

    parts: tuple[frozenset[Phrase], ...]
    unless: tuple[Phrase, ...] = ()


def parse_near(source: str, unless: Iterable[str] = (), lexicon: Lexicon | None = None) -> NearTerm:
    """Parse `gaz & @leak | fuite` and the phrases that excuse it. Raises: NearError, naming the text."""
    names = lexicon or {}
    parts = tuple(frozenset(_phrases(part, names)) for part in source.split("&"))
    if not all(parts):
        raise NearError(f"`{source}` has a part without words: write for example `gaz & odeur | fuite`")
    return NearTerm(parts, tuple(phrase for text in unless for phrase in _phrases(text, names)))


class ProximityMatcher:
    """Finds many `near` conditions at once.

    Why: a text of 90 words costs 90 look-ups, whatever the number of conditions; only a text that has a word of every
         part of one is looked at closely.
    """

    def __init__(self, terms: Sequence[tuple[int, NearTerm]], ordinary: Iterable[str] = ()) -> None:
        """`ordinary` words fit only as they are written: none of them is another word with an error."""
        parts = dict.fromkeys(part for _, term in terms for part in term.parts)
        bit_of_part = {part: 1 << number for number, part in enumerate(parts)}
        known = [phrase for part in parts for phrase in part] + [each for _, term in terms for each in term.unless]
        known += map(_plain_phrase, ordinary)
        keys = list(dict.fromkeys(key for phrase in known for word in phrase for key in sorted(word)))
        ids = {key: number for number, key in enumerate(keys)}
        bits = [0] * len(keys)
        means: dict[Phrase, int] = {}  # of each phrase of several words the bits of the parts in which it stands
        for part, bit in bit_of_part.items():
            for phrase in part:
                if len(phrase) > 1:
                    means[phrase] = means.get(phrase, 0) | bit
                    continue
                for key in frozenset().union(*phrase):
                    bits[ids[key]] |= bit
        self._phrases: dict[int, list[_Anchored]] = {}  # by a bit for the longest word of each
        word_bits: dict[frozenset[str], int] = {}
        for phrase, meant in means.items():
            anchor = max(range(len(phrase)), key=[min(map(len, word)) for word in phrase].__getitem__)
            bit = word_bits.setdefault(phrase[anchor], 1 << (len(parts) + len(word_bits)))
            needs = sum({word_bits.setdefault(word, 1 << (len(parts) + len(word_bits))) for word in phrase})
            self._phrases.setdefault(bit, []).append((anchor, _number(phrase, ids), meant, needs))
        for word, bit in word_bits.items():
            for key in word:
                bits[ids[key]] |= bit
        by_unless: dict[tuple[Phrase, ...], _Excuses] = {}
        self._conditions: dict[int, list[_Condition]] = {}  # by the bit of the part with the fewest words
        for number, term in terms:
            excuses = by_unless.get(term.unless) or by_unless.setdefault(term.unless, _index(term.unless, ids))
            part_bits = tuple(bit_of_part[part] for part in term.parts)
            condition = _Condition(number, part_bits, sum(set(part_bits)), excuses)
            self._conditions.setdefault(bit_of_part[min(term.parts, key=len)], []).append(condition)
        self._gates, self._anchors = sum(self._conditions), sum(self._phrases)
        self._vocabulary = NearVocabulary(keys, bits)

    def find_terms(self, folded: str) -> set[int]:
        """The numbers of the conditions that hold in the text. Never raises."""
        fits = [*map(self._vocabulary.__getitem__, _words(folded))]
        present = 0
        for each in set(fits):
            present |= each.bits
        text = _Text(fits)
        possible = {
            bit: phrases
            for bit in _each_bit(present & self._anchors)
            if (phrases := [each for each in self._phrases[bit] if each[3] & present == each[3]])
        }
        if possible:
            present |= text.add_phrases(possible)
        return {
            condition.number
            for bit in _each_bit(present & self._gates)
            for condition in self._conditions[bit]
            if condition.bits & present == condition.bits and text.holds(condition)
        }


_Numbered = tuple[frozenset[int], ...]  # a phrase: for each word the numbers of its keys

# A phrase: the number of its longest word, the phrase, the bits of the parts in which it stands, those of its words.
_Anchored = tuple[int, _Numbered, int, int]


@dataclass(frozen=True, eq=False)
class _Excuses:
    """The `unless` phrases of a rule, by each key of their first word."""

    by_first: Mapping[int, Sequence[_Numbered]]
    firsts: frozenset[int]


@dataclass(frozen=True, eq=False)
class _Condition:
    number: int
    parts: tuple[int, ...]  # a bit each
    bits: int  # all of them
    unless: _Excuses


class _Text:
    """The words of one text, and where the parts of conditions stand in it."""

    def __init__(self, fits: list[WordMatches]) -> None:
        self._fits = fits
        self._places: list[int] = []  # of each word its number among the counted ones, when first asked for
        self._added: dict[int, list[int]] = {}  # a part's bit → the words at which a phrase of it stands
        self._by_part: dict[int, list[int]] = {}
        self._excused: dict[_Excuses, frozenset[int]] = {}

    def _number_words(self) -> None:
        if not self._places:
            self._places.extend(accumulate(each.is_counted for each in self._fits))

    def add_phrases(self, phrases: Mapping[int, Sequence[_Anchored]]) -> int:
        """Look for the phrases around each word that anchors some; gives the bits of the parts that were found."""
        self._number_words()
        found, anchors = 0, sum(phrases)
        for at, each in enumerate(self._fits):
            if each.bits & anchors:
                for bit in _each_bit(each.bits & anchors):
                    for anchor, phrase, meant, _ in phrases[bit]:
                        if self._stands_at(at, phrase, anchor):
                            found |= meant
                            self._added.setdefault(meant, []).append(at)
        return found

    def holds(self, condition: _Condition) -> bool:
        self._number_words()
        excused = self._excused_by(condition.unless)
        places = [[self._places[at] for at in self._words_of(part) if at not in excused] for part in condition.parts]
        first, *others = sorted(places, key=len)
        return any(all(_has_near(there, place) for there in others) for place in first)

    def _words_of(self, part: int) -> list[int]:
        if part not in self._by_part:
            words = {at for at, each in enumerate(self._fits) if each.bits & part}
            words.update(at for meant, there in self._added.items() if meant & part for at in there)
            self._by_part[part] = sorted(words)
        return self._by_part[part]

    def _excused_by(self, excuses: "_Excuses") -> frozenset[int]:
        if excuses not in self._excused:
            self._excused[excuses] = frozenset(
                covered
                for at, each in enumerate(self._fits)
                for key in each.keys & excuses.firsts
                for phrase in excuses.by_first[key]
                if (end := self._walk(at, phrase[1:], 1, most=1)) is not None
                for covered in range(at, end + 1)
            )
        return self._excused[excuses]

    def _stands_at(self, at: int, phrase: _Numbered, anchor: int) -> bool:
        after = self._walk(at, phrase[anchor + 1 :], 1)
        return after is not None and self._walk(at, phrase[:anchor][::-1], -1) is not None

    def _are_close(self, one: int, other: int, most: int) -> bool:
        """Whether two counted words are at most so many apart; a word without meaning is close to its neighbour only."""
        are_counted = self._fits[one].is_counted and self._fits[other].is_counted
        return are_counted and abs(self._places[one] - self._places[other]) <= most

    def _walk(self, at: int, words: Sequence[frozenset[int]], step: int, most: int = _PHRASE_STEP) -> int | None:
        """Where the last of these words stands, each at most so many counted words on from the one before it."""
        for word in words:
            stop = min(len(self._fits), at + _PHRASE_TOKENS) if step > 0 else max(-1, at - _PHRASE_TOKENS)
            for to in range(at + step, stop, step):
                if not word.isdisjoint(self._fits[to].keys) and (to == at + step or self._are_close(at, to, most)):
                    break
            else:
                return None
            at = to
        return at


def _each_bit(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest
        bits ^= lowest


def _has_near(places: Sequence[int], at: int) -> bool:
    """Whether another place than `at` lies in its window."""
    start = bisect_left(places, at - _WINDOW)
    return any(place != at for place in places[start : start + 2] if place <= at + _WINDOW)


def _phrases(part: str, lexicon: Lexicon) -> Iterator[Phrase]:
    """The words and phrases of a part, those of the names in it included."""
    for written in part.split("|"):
        named = written.strip()
        texts = _named(named, lexicon) if _NAME.fullmatch(named) else (named,)
        for text in texts:
            if phrase := _phrase(text, lexicon) if "@" in text else _plain_phrase(text):
                yield phrase


def _named(name: str, lexicon: Lexicon) -> Sequence[str]:
    try:
        return lexicon[name.removeprefix("@")]
    except KeyError as error:
        raise NearError(f"`{name}` is not in the lexicon") from error


@lru_cache(maxsize=20_000)  # the rules of a town name the same words and excuses again and again: 2 s of each start
def _plain_phrase(written: str) -> Phrase:
    return _phrase(written, {})


def _phrase(written: str, lexicon: Lexicon) -> Phrase:
    """The words of a phrase, each with those that may take its place. Words without meaning are left out where two others stay."""
    words = [_alternatives(word, lexicon) for word in re.split(r"[^\w*@/-]+|(?<!@)\b-", fold(written))]
    words = [word for word in words if word]
    counted = [word for word in words if not word <= UNCOUNTED]
    return tuple(counted if len(counted) > 1 or len(words) == 1 else words)


def _alternatives(word: str, lexicon: Lexicon) -> frozenset[str]:
    if word.startswith("@"):
        return _single_words(tuple(_named(word, lexicon)))
    return frozenset(squeeze(each) for each in re.findall(r"[^\W_]+\*?", word))


@lru_cache(maxsize=1000)
def _single_words(texts: tuple[str, ...]) -> frozenset[str]:
    return frozenset(squeeze(fold(each)) for each in texts if re.fullmatch(r"\w+\*?", each))


def _index(unless: Iterable[Phrase], ids: Mapping[str, int]) -> _Excuses:
    by_first: dict[int, list[_Numbered]] = {}
    for phrase in unless:
        for key in phrase[0]:
            by_first.setdefault(ids[key], []).append(_number(phrase, ids))
    return _Excuses(by_first, frozenset(by_first))


def _number(phrase: Phrase, ids: Mapping[str, int]) -> _Numbered:
    return tuple(frozenset(ids[key] for key in word) for word in phrase)


def _words(folded: str) -> list[str]:
    return folded.translate(_SEPARATORS).split() if folded.isascii() else _WORD.findall(folded)
