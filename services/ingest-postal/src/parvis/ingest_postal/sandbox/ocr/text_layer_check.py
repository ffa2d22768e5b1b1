"""Checks whether a PDF's text layer is plausible and better than our own recognition. Runs in a sandboxed process only."""

from parvis.ingest_postal.sandbox.ocr.page_ocr import PageText, known_word_share
from parvis.ingest_postal.sandbox.ocr.tesseract import Lines, TesseractEngine

_DOUBTFUL = 0.6  # below it, a copier's text layer is as good as our own reading
_ENOUGH = 8  # words
_NONSENSE = 0.12  # the share of known words: Turkish has 0.18, a font that shifts its letters 0 to 0.05
_CLEARLY = 0.3
_LETTERS = 3
_FEWEST_CHARACTERS = 40
_LAST_LATIN = "\N{LATIN SMALL LETTER EZH WITH CARON}"


def is_plausible(own: Lines, engine: TesseractEngine) -> bool:
    """Whether the text layer consists of words. If not, the picture is read and the better text is used."""
    words = [word.text for line in own for word in line.words if len(word.text) >= _LETTERS]
    if len(words) < _ENOUGH or not _is_latin(words):
        return True
    return _known_word_share(own, engine) >= _NONSENSE


def is_better(own: Lines, read: PageText, engine: TesseractEngine, *, is_picture: bool) -> bool:
    """Whether the text layer is better than our reading of the picture."""
    ours, theirs = known_word_share(read.lines, engine.lexicon(read.language)), _known_word_share(own, engine)
    if is_picture:
        return read.confidence < _DOUBTFUL and theirs >= ours
    if is_short(own):
        return not read.lines
    return theirs >= ours - _CLEARLY


def is_short(own: Lines) -> bool:
    """Whether the text is no more than a page number or a copier's stamp."""
    return sum(len(line.text) for line in own) < _FEWEST_CHARACTERS


def _known_word_share(lines: Lines, engine: TesseractEngine) -> float:
    return max(known_word_share(lines, engine.lexicon("fra")), known_word_share(lines, engine.lexicon("eng")))


def _is_latin(words: list[str]) -> bool:
    """Whether most letters are Latin. We have no lexicon and no OCR data for other scripts."""
    letters = [character for word in words for character in word if character.isalpha()]
    return sum(character <= _LAST_LATIN for character in letters) > len(letters) / 2
