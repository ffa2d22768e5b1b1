"""The text that a PDF holds in, whether to believe it out: fonts may not say what they draw, and copiers read badly. Worker only."""

from parvis.ingest_postal.read.engine import Engine, Lines
from parvis.ingest_postal.read.page import Read, known

_DOUBTFUL = 0.6  # below it, the text that a copier laid under its picture is as good a guess as ours
_ENOUGH = 8  # words
_NONSENSE = 0.12  # the share of known words: Turkish has 0.18, a font that shifts its letters 0 to 0.05
_CLEARLY = 0.3
_LETTERS = 3
_FEWEST_CHARACTERS = 40
_LAST_LATIN = "\N{LATIN SMALL LETTER EZH WITH CARON}"


def makes_sense(own: Lines, engine: Engine) -> bool:
    """False where hardly anything is a word: then the picture is read, and the better one is taken."""
    words = [word.text for line in own for word in line.words if len(word.text) >= _LETTERS]
    if len(words) < _ENOUGH or not _is_latin(words):
        return True
    return _known(own, engine) >= _NONSENSE


def is_better(own: Lines, read: Read, engine: Engine, *, is_photographed: bool) -> bool:
    """Whether the file's own text says more than our reading of its picture."""
    ours, theirs = known(read.lines, engine.lexicon(read.language)), _known(own, engine)
    if is_photographed:
        return read.confidence < _DOUBTFUL and theirs >= ours
    if is_short(own):
        return not read.lines
    return theirs >= ours - _CLEARLY


def is_short(own: Lines) -> bool:
    """A page number or a copier's stamp is not the letter."""
    return sum(len(line.text) for line in own) < _FEWEST_CHARACTERS


def _known(lines: Lines, engine: Engine) -> float:
    return max(known(lines, engine.lexicon("fra")), known(lines, engine.lexicon("eng")))


def _is_latin(words: list[str]) -> bool:
    """Other scripts are not in our lexicons, and we cannot read them from a picture either."""
    letters = [character for word in words for character in word if character.isalpha()]
    return sum(character <= _LAST_LATIN for character in letters) > len(letters) / 2
