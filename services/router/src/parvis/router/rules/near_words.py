"""Finds words that stand near each other, in any order and with a typing error each, in a folded text. Pure.

A rule writes `gaz & odeur | fuite | sent*`: one word of each part, at most eight words apart. A star takes any ending.
Short words without meaning ("de", "the") are not counted. A word of five letters or more may have one letter wrong,
missing, doubled or exchanged, and repeated letters count once: « gaaaz » is « gaz ».
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from parvis.router.rules.term_patterns import fold

_WINDOW = 8
_MISSPELT_FROM = 5  # letters: shorter words with an error are too often other words
_REMEMBERED_WORDS = 50_000
_WORD = re.compile(r"[^\W_]+")
_UNCOUNTED = frozenset(
    (  # noqa: SIM905
        "a ai and au aux c ce ces d dans de des du en et est il elle in is it j l la le les ma mon my n of on our qu que s ses "
        "sur t the to un une y"
    ).split()
)


class NearError(ValueError):
    """A `near` condition with a part that has no words."""


@dataclass(frozen=True)
class NearTerm:
    """One `near` condition: a word of each part must occur; words of an `unless` phrase are not looked at."""

    parts: tuple[tuple[str, ...], ...]
    unless: tuple[tuple[str, ...], ...] = ()


def parse_near(source: str, unless: Iterable[str] = ()) -> NearTerm:
    """Parse `gaz & odeur | fuite` and the phrases that excuse it. Raises: NearError, naming the text."""
    parts = tuple(tuple(_keys(part)) for part in source.split("&"))
    if not all(parts):
        raise NearError(f"`{source}` has a part without words: write for example `gaz & odeur | fuite`")
    phrases = tuple(tuple(_keys(phrase)) for phrase in unless)
    return NearTerm(parts, tuple(phrase for phrase in phrases if phrase))


class NearMatcher:
    """Finds many `near` conditions at once; the keys that a word fits are remembered.

    Why: a text of 90 words costs 90 look-ups, whatever the number of conditions; only a text that has a word of every
         part of one is looked at closely.
    """

    def __init__(self, terms: Sequence[tuple[int, NearTerm]]) -> None:
        keys = dict.fromkeys(key for _, term in terms for words in (*term.parts, *term.unless) for key in words)
        self._ids = {key: number for number, key in enumerate(keys)}
        self._vocabulary = _Vocabulary(list(keys))
        self._terms = [
            (
                number,
                tuple(frozenset(self._ids[key] for key in part) for part in term.parts),
                tuple(tuple(self._ids[key] for key in phrase) for phrase in term.unless),
            )
            for number, term in terms
        ]
        self._by_key: dict[int, list[int]] = {}  # a key of a condition's shortest part → where the condition stands
        for at, (_, parts, _) in enumerate(self._terms):
            for key in min(parts, key=len):
                self._by_key.setdefault(key, []).append(at)

    def find_terms(self, folded: str) -> set[int]:
        """The numbers of the conditions that hold in the text. Never raises."""
        words = [fits for word in _words(folded) if (fits := self._vocabulary.keys_of(word)) is not None]
        present = frozenset().union(*words)
        possible = {at for key in present for at in self._by_key.get(key, ())}
        return {
            number
            for number, parts, unless in map(self._terms.__getitem__, possible)
            if all(not part.isdisjoint(present) for part in parts) and _holds(words, parts, unless)
        }


class _Vocabulary:
    """The keys of all conditions, found by a word as it is written."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._exact: dict[str, set[int]] = {}
        self._stems: dict[str, set[int]] = {}
        self._variants: dict[str, set[int]] = {}
        self._keys = keys
        self._seen: dict[str, frozenset[int] | None] = {}
        for number, key in enumerate(keys):
            stem = key.rstrip("*")
            for form in (stem, f"{stem}s", f"{stem}x"):
                self._exact.setdefault(form, set()).add(number)
            if key.endswith("*"):
                self._stems.setdefault(stem, set()).add(number)
            if len(stem) >= _MISSPELT_FROM:
                for variant in _variants(stem):
                    self._variants.setdefault(variant, set()).add(number)
        self._lengths = sorted({len(stem) for stem in self._stems})

    def keys_of(self, word: str) -> frozenset[int] | None:
        """The numbers of the keys that a word fits; None for a word that is not counted."""
        if word not in self._seen:
            if len(self._seen) >= _REMEMBERED_WORDS:
                self._seen.clear()
            self._seen[word] = None if word in _UNCOUNTED else frozenset(self._look_up(_squeeze(word[:40])))
        return self._seen[word]

    def _look_up(self, word: str) -> set[int]:
        found = set(self._exact.get(word, ()))
        for length in self._lengths:
            found |= self._stems.get(word[:length], set())
        return found or set(self._misspelt(word))

    def _misspelt(self, word: str) -> Iterator[int]:
        beginnings = {word, *(word[: length + more] for length in self._lengths for more in (-1, 0, 1))}
        for beginning in beginnings:
            if len(beginning) < _MISSPELT_FROM - 1:
                continue
            for number in set().union(*(self._variants.get(variant, ()) for variant in _variants(beginning))):
                key = self._keys[number]
                is_whole = beginning == word or key.endswith("*")
                if is_whole and key[0] == word[0] and _is_one_error(key.rstrip("*"), beginning):
                    yield number


def _holds(words: Sequence[frozenset[int]], parts: Sequence[frozenset[int]], unless: Sequence[Sequence[int]]) -> bool:
    excused = set(_excused(words, unless))
    places = [
        [at for at, fits in enumerate(words) if at not in excused and not fits.isdisjoint(part)] for part in parts
    ]
    first, *others = sorted(places, key=len)
    return any(all(_has_near(there, at) for there in others) for at in first)


def _has_near(places: Sequence[int], at: int) -> bool:
    """Whether another place than `at` lies in its window."""
    start = bisect_left(places, at - _WINDOW)
    return any(place != at for place in places[start : start + 2] if place <= at + _WINDOW)


def _excused(words: Sequence[frozenset[int]], unless: Sequence[Sequence[int]]) -> Iterator[int]:
    for phrase in unless:
        for at, fits in enumerate(words[: len(words) - len(phrase) + 1]):
            if phrase[0] in fits and all(key in words[at + step] for step, key in enumerate(phrase)):
                yield from range(at, at + len(phrase))


def _keys(written: str) -> Iterator[str]:
    """The folded words of a part or a phrase, a star at the end kept."""
    for match in re.finditer(r"[^\W_]+\*?", fold(written)):
        word = match[0]
        if word not in _UNCOUNTED:
            yield _squeeze(word)


def _words(folded: str) -> list[str]:
    return _WORD.findall(folded)


def _squeeze(word: str) -> str:
    return "".join(letter for letter, _ in groupby(word)) if word.isalpha() or word.endswith("*") else word


def _variants(word: str) -> set[str]:
    """The word, and the word without one of its letters: two words with one error share one of these."""
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}


def _is_one_error(wanted: str, written: str) -> bool:
    """Whether one letter is wrong, missing, added, or exchanged with the next."""
    if abs(len(wanted) - len(written)) > 1:
        return False
    same = next((at for at, (a, b) in enumerate(zip(wanted, written, strict=False)) if a != b), None)
    if same is None:
        return True
    rest, there = wanted[same:], written[same:]
    exchanged = rest[:2] == there[1::-1] if len(rest) > 1 and len(there) > 1 else False
    return rest[1:] == there[1:] or rest[1:] == there or rest == there[1:] or (exchanged and rest[2:] == there[2:])
