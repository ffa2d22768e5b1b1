"""Recognises a page: deskews it, reads it once, and reads variants of it where the first reading is poor. Runs in a sandboxed process only."""

import time
from dataclasses import dataclass

from PIL import Image

from parvis.ingest_postal.sandbox.ocr.image_variants import make_variants
from parvis.ingest_postal.sandbox.ocr.lexicon import Lexicon
from parvis.ingest_postal.sandbox.ocr.punctuation import correct_punctuation
from parvis.ingest_postal.sandbox.ocr.tesseract import Language, Lines, TesseractEngine
from parvis.ingest_postal.sandbox.ocr.voting import vote
from parvis.ingest_postal.sandbox.page.deskew import deskew, measure_skew

_GOOD_CONFIDENCE = (
    0.915  # measured: a clean letter has 0.92 to 0.95 in its first reading; below, variants find more words
)
_UPRIGHT_CONFIDENCE = 0.6  # a page that is upside down or on its side has less
_MIN_WORDS = 4  # a page that is upside down may show fewer
_FOREIGN_SHARE = 0.5  # a letter full of names has this share of unknown words
_MIN_LETTERS = 3  # shorter words are often specks
_MIN_SIGNIFICANT_LETTERS = 4  # letters of a word that counts for the agreement; rows of ditto marks do not
_HALF = 0.5
BUDGET_S = 6.0
_ORIENTATION_SIDE = 1600  # pixels: 140 dpi of A4 are enough to find the orientation
_WEAK = 0.2  # least share of the variants that must agree on a word of the lexicon


@dataclass(frozen=True)
class PageText:
    """The recognised text of a page, its confidence, and the rotation of the picture for agents."""

    lines: Lines
    confidence: float
    language: Language
    quarter: int  # degrees, counter-clockwise
    angle: float


def recognize_page(engine: TesseractEngine, picture: Image.Image, *, budget_s: float = BUDGET_S) -> PageText:
    """Recognise a page. Shape: `budget_s` is processor time; after it no further variant is read."""
    started_s = time.process_time()
    grey = picture.convert("L")
    sideways, angle = measure_skew(grey)
    quarter, lines = _find_orientation(engine, grey, 90 if sideways else 0, angle)
    grey = deskew(grey, quarter, angle)
    language, lines = _choose_language(engine, grey, lines)
    confidence = mean_confidence(lines)
    if lines and confidence < _GOOD_CONFIDENCE and budget_s > 0:
        lexicon = engine.lexicon(language)
        readings = [lines]
        for variant in make_variants(grey):
            readings.append(engine.recognize(variant, language, "block"))
            if time.process_time() - started_s > budget_s:
                break
        lines = correct_punctuation(vote(readings, lexicon.weight), grey)
        confidence = _agreement(lines, lexicon)
    return PageText(lines, confidence, language, quarter, angle)


def mean_confidence(lines: Lines) -> float:
    """The mean confidence of the words, by their length; 0 without words."""
    words = [word for line in lines for word in line.words]
    letters = sum(len(word.text) for word in words)
    return sum(word.confidence * len(word.text) for word in words) / letters if letters else 0.0


def _find_orientation(engine: TesseractEngine, grey: Image.Image, quarter: int, angle: float) -> tuple[int, Lines]:
    """Find the rotation and its first reading. Other rotations are tried, on a smaller picture, only when this one reads badly."""
    lines = engine.recognize(deskew(grey, quarter, angle), "fra", "columns")
    if _is_upright(lines):
        return quarter, lines
    lexicon = engine.lexicon("fra")
    small = grey.copy()
    small.thumbnail((_ORIENTATION_SIDE, _ORIENTATION_SIDE), Image.Resampling.BOX)
    tried = [(_legibility(lines, lexicon), quarter)]
    for turn in ((quarter + 180) % 360, (quarter + 90) % 360, (quarter + 270) % 360):
        turned_lines = engine.recognize(deskew(small, turn, angle), "fra", "columns")
        tried.append((_legibility(turned_lines, lexicon), turn))
        if _is_upright(turned_lines):
            break
    turn = max(tried, key=lambda legibility_and_turn: legibility_and_turn[0])[1]
    return (
        (quarter, lines) if turn == quarter else (turn, engine.recognize(deskew(grey, turn, angle), "fra", "columns"))
    )


def _is_upright(lines: Lines) -> bool:
    return mean_confidence(lines) >= (
        _UPRIGHT_CONFIDENCE if sum(len(line.words) for line in lines) >= _MIN_WORDS else _GOOD_CONFIDENCE
    )


def _legibility(lines: Lines, lexicon: Lexicon) -> float:
    """Score how much text was read: upside-down letters give few words and low confidence."""
    return sum(
        len(word.text) * word.confidence * (1 if lexicon.weight(word.text) else 0.3)
        for line in lines
        for word in line.words
        if len(word.text) >= _MIN_LETTERS
    )


def _choose_language(engine: TesseractEngine, grey: Image.Image, lines: Lines) -> tuple[Language, Lines]:
    """Choose French, or English when the page has few French words and more English ones."""
    french = known_word_share(lines, engine.lexicon("fra"))
    if french >= _FOREIGN_SHARE or not lines:
        return "fra", lines
    english = engine.recognize(grey, "eng", "columns")
    if mean_confidence(english) * known_word_share(english, engine.lexicon("eng")) > mean_confidence(lines) * french:
        return "eng", english
    return "fra", lines


def known_word_share(lines: Lines, lexicon: Lexicon) -> float:
    """The share of words that the lexicon contains, without the shortest words."""
    words = [word.text for line in lines for word in line.words if len(word.text) >= _MIN_LETTERS]
    return sum(bool(lexicon.weight(word)) for word in words) / len(words) if words else 0.0


def _agreement(lines: Lines, lexicon: Lexicon) -> float:
    """Estimate the share of words that were read correctly, a little too low.

    Measured on typewritten and damaged pages: at most 0.79 when 0.81 or less was read correctly, mostly over 0.8 otherwise.
    """
    words = [
        word for line in lines for word in line.words if sum(map(str.isalnum, word.text)) >= _MIN_SIGNIFICANT_LETTERS
    ]
    if not words:
        return 0.0
    support = sum(word.confidence for word in words) / len(words)
    sure = sum(word.confidence > _HALF or (word.confidence > _WEAK and lexicon.weight(word.text) > 0) for word in words)
    return 1 - 0.95 * (1 - (support + sure / len(words)) / 2)
