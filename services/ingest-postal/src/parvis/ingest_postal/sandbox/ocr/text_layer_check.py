"""Checks whether a PDF's text layer is plausible and better than our own recognition. Runs in a sandboxed process only."""

from parvis.ingest_postal.sandbox.ocr.page_ocr import PageText, known_word_share
from parvis.ingest_postal.sandbox.ocr.tesseract import Lines, TesseractEngine

_DOUBTFUL = 0.6  # below it, the text that a copier laid under its picture is as good a guess as ours
_ENOUGH = 8  # words
_NONSENSE = 0.12  # the share of known words: Turkish has 0.18, a font that shifts its letters 0 to 0.05
_CLEARLY = 0.3
_LETTERS = 3
_FEWEST_CHARACTERS = 40
_LAST_LATIN = "\N{LATIN SMALL LETTER EZH WITH CARON}"


def is_plausible(own: Lines, engine: TesseractEngine) -> bool:
    """False where hardly anything is a word: then the picture is read, and the better one is taken."""
    words = [word.text for line in own for word in line.words if len(word.text) >= _LETTERS]
    if len(words) < _ENOUGH or not _is_latin(words):
        return True
    return _known_word_share(own, engine) >= _NONSENSE


def is_better(own: Lines, read: PageText, engine: TesseractEngine, *, is_picture: bool) -> bool:
    """Whether the file's own text says more than our reading of its picture."""
    ours, theirs = known_word_share(read.lines, engine.lexicon(read.language)), _known_word_share(own, engine)
    if is_picture:
        return read.confidence < _DOUBTFUL and theirs >= ours
    if is_short(own):
        return not read.lines
    return theirs >= ours - _CLEARLY


def is_short(own: Lines) -> bool:
    """A page number or a copier's stamp is not the letter."""
    return sum(len(line.text) for line in own) < _FEWEST_CHARACTERS


def _known_word_share(lines: Lines, engine: TesseractEngine) -> float:
    return max(known_word_share(lines, engine.lexicon("fra")), known_word_share(lines, engine.lexicon("eng")))


def _is_latin(words: list[str]) -> bool:
    """Other scripts are not in our lexicons, and we cannot read them from a picture either."""
    letters = [character for word in words for character in word if character.isalpha()]
    return sum(character <= _LAST_LATIN for character in letters) > len(letters) / 2
