"""Finds which keys of the rules a word fits as it is written: endings, a typing error, a missing apostrophe, the sound. Pure."""

import re
from collections.abc import Iterator, Sequence

_MISSPELT_FROM = 5  # letters: shorter words with an error are too often other words
_SOUNDS_FROM = 4
_REMEMBERED_WORDS = 50_000
_LONGEST_WORD = 40

UNCOUNTED = frozenset(
    (  # noqa: SIM905
        "a ai and au aux c ce ces d dans de des du en et est il elle in is it j l la le les ma mon my n of on our qu que s ses "
        "sur t the to un une y"
    ).split()
)

# « jai », « lescalier », « quelle » without their apostrophe.
_ELIDED = re.compile(r"(?:qu|[cdjlmnst])(?=[aeiouyh]\w{2})")
# French letters that sound alike, as in « électrik », « fotre » or « boufé »; what is silent at the end of a word.
_SOUNDS = (
    ("ph", "f"),
    ("qu", "k"),
    ("ck", "k"),
    ("eau", "o"),
    ("au", "o"),
    ("ai", "e"),
    ("ei", "e"),
    ("y", "i"),
    ("z", "s"),
)
_SOUNDS_LIKE = re.compile(r"c(?=[aoeui])|c$|h")
_REPEATED = re.compile(r"(.)\1+")
_SILENT = re.compile(r"(?:ent|er|ez|ait|es|e|s|t|x|d)$")


class WordMatches:
    """What a written word fits: the numbers of keys, and the bits of what these stand for. One object for all equal ones."""

    __slots__ = ("bits", "is_counted", "keys")

    def __init__(self, keys: frozenset[int], bits: int, *, is_counted: bool) -> None:
        self.keys, self.bits, self.is_counted = keys, bits, is_counted


class NearVocabulary(dict[str, WordMatches]):
    """What each written word fits.

    Why: a word is looked up once and remembered; a text then costs one look-up in C for each of its words.
    """

    def __init__(self, keys: Sequence[str], bits_of_key: Sequence[int]) -> None:
        super().__init__()
        self._keys = keys
        self._bits_of_key = bits_of_key
        self._shared: dict[tuple[frozenset[int], bool], WordMatches] = {}
        self._exact: dict[str, set[int]] = {}
        self._stems: dict[str, set[int]] = {}
        self._variants: dict[str, set[int]] = {}
        self._sounds: dict[str, set[int]] = {}
        self._sound_stems: dict[str, set[int]] = {}
        for number, key in enumerate(keys):
            self._add(number, key.rstrip("*"), key.endswith("*"))
        self._lengths = sorted({len(stem) for stem in self._stems})
        self._sound_lengths = sorted({len(stem) for stem in self._sound_stems})

    def __missing__(self, word: str) -> WordMatches:
        if len(self) >= _REMEMBERED_WORDS:
            self.clear()
        is_counted = word not in UNCOUNTED
        keys = frozenset(self._look_up(squeeze(word[:_LONGEST_WORD])) if is_counted else self._exact.get(word, ()))
        shared = self._shared.get((keys, is_counted))
        if shared is None:
            bits = 0
            for number in keys:
                bits |= self._bits_of_key[number]
            shared = self._shared[keys, is_counted] = WordMatches(keys, bits, is_counted=is_counted)
        self[word] = shared
        return shared

    def _add(self, number: int, stem: str, any_ending: bool) -> None:
        for form in (stem, f"{stem}s", f"{stem}x"):
            self._exact.setdefault(form, set()).add(number)
        if any_ending:
            self._stems.setdefault(stem, set()).add(number)
        if len(stem) >= _MISSPELT_FROM:
            for variant in _variants(stem):
                self._variants.setdefault(variant, set()).add(number)
        spoken = _sound(stem) if any_ending else _SILENT.sub("", _sound(stem))
        if len(spoken) >= _SOUNDS_FROM:
            (self._sound_stems if any_ending else self._sounds).setdefault(spoken, set()).add(number)

    def _look_up(self, word: str) -> set[int]:
        if word.isdigit():
            return self._exact.get(word, set())
        found = self._written(word)
        elided = _ELIDED.match(word)
        if not found and elided:
            found = self._written(word[elided.end() :])
        return found or self._sounding(word) or set(self._misspelt(word))

    def _written(self, word: str) -> set[int]:
        found = set(self._exact.get(word, ()))
        for length in self._lengths:
            found |= self._stems.get(word[:length], set())
        return found

    def _sounding(self, word: str) -> set[int]:
        if len(word) < _SOUNDS_FROM:
            return set()
        spoken = _sound(word)
        found = set(self._sounds.get(_SILENT.sub("", spoken), ()))
        for length in self._sound_lengths:
            found |= self._sound_stems.get(spoken[:length], set())
        return {number for number in found if self._keys[number][0] == word[0] or word[0] in "ck"}

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


def squeeze(word: str) -> str:
    """Each repeated letter once: « gaaaz » is « gaz »."""
    return _REPEATED.sub(r"\1", word) if word.isalpha() or word.endswith("*") else word


def _sound(word: str) -> str:
    for written, spoken in _SOUNDS:
        word = word.replace(written, spoken)
    return squeeze(_SOUNDS_LIKE.sub(_letter_of_sound, word))


def _letter_of_sound(match: re.Match[str]) -> str:
    following = match.string[match.end() : match.end() + 1]
    return "" if match[0] == "h" else "s" if following in ("e", "i") else "k"


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
