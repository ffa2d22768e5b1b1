"""Extracts the text layer of a PDF page with the position of each word. Runs in a sandboxed process only."""

import itertools
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2.raw as pdfium

from parvis.ingest_postal.models.page import TextLine, Word

_MOST_CHARACTERS = 60_000
_WORD_CHARACTERS = 200
_SAMPLE = 2000  # characters whose directions are looked at
_HYPHEN = 0x02  # PDFium's mark for a word hyphenated at the end of a line


_Letter = tuple[str, tuple[float, float, float, float]]


@dataclass(frozen=True)
class _TextFrame:
    """The visible box of a page, and the directions in which its text runs and stands.

    The text's own matrix decides, not /Rotate: of a scan fed sideways, one of them may be turned and the other not.
    """

    box: tuple[float, float, float, float]
    along: tuple[int, int] = (1, 0)
    up: tuple[int, int] = (0, 1)

    def to_fractions(self, x: float, y: float) -> tuple[float, float]:
        """Convert a point to fractions of the page as its text is read, from the top left."""
        left, bottom, right, top = self.box
        across, height = (x - left) / max(right - left, 1), (y - bottom) / max(top - bottom, 1)
        return _travelled(self.along, across, height), 1 - _travelled(self.up, across, height)


def extract_text_layer(page: Any) -> tuple[TextLine, ...] | None:
    """Extract the text lines of a page. Gives: None without a text layer, or when its fonts have no usable character map."""
    text_page = page.get_textpage()
    count = min(text_page.count_chars(), _MOST_CHARACTERS)
    codes = [pdfium.FPDFText_GetUnicode(text_page, index) for index in range(count)]
    if not _is_text(codes):
        return None
    along, up = _find_directions(text_page, codes)
    return _in_reading_order(list(_lines(text_page, codes, _TextFrame(page.get_bbox(), along, up))))


def is_invisible(page: Any) -> bool:
    """Whether most of the text is drawn in the invisible mode, as behind a scanned picture (ISO 32000-1, 9.3.6)."""
    text_page = page.get_textpage()
    modes = Counter(
        pdfium.FPDFTextObj_GetTextRenderMode(pdfium.FPDFText_GetTextObject(text_page, index))
        for index in _sample(text_page.count_chars())
        if not pdfium.FPDFText_IsGenerated(text_page, index)
    )
    return modes[pdfium.FPDF_TEXTRENDERMODE_INVISIBLE] > modes.total() / 2


def _travelled(direction: tuple[int, int], across: float, height: float) -> float:
    way, sign = (across, direction[0]) if direction[0] else (height, direction[1])
    return way if sign > 0 else 1 - way


def _find_directions(text_page: Any, codes: list[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where most letters run and where their tops are, to a quarter turn; mirrored letters run the other way."""
    counted = Counter(
        _directions(text_page, index)
        for index in _sample(len(codes))
        if codes[index] > 32 and not pdfium.FPDFText_IsGenerated(text_page, index)
    )
    return counted.most_common(1)[0][0] if counted else ((1, 0), (0, 1))


def _directions(text_page: Any, index: int) -> tuple[tuple[int, int], tuple[int, int]]:
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFText_GetMatrix(text_page, index, matrix)
    along = _quarter(matrix.a, matrix.b)
    is_mirrored = matrix.a * matrix.d - matrix.b * matrix.c < 0
    up = (-along[1], along[0])
    return along, (-up[0], -up[1]) if is_mirrored else up


def _quarter(x: float, y: float) -> tuple[int, int]:
    return ((1 if x >= 0 else -1), 0) if abs(x) >= abs(y) else (0, (1 if y >= 0 else -1))


def _sample(count: int) -> range:
    return range(0, min(count, _MOST_CHARACTERS), max(1, count // _SAMPLE))


def _in_reading_order(lines: list[TextLine]) -> tuple[TextLine, ...]:
    """Turn the lines round when most stand above the line before: PDFium gives those of turned text from the last to the first."""
    pairs = list(itertools.pairwise(lines))
    upward = sum(_top(line) < _top(before) for before, line in pairs)
    return tuple(reversed(lines) if upward > len(pairs) / 2 else lines)


def _top(line: TextLine) -> float:
    return min(word.top for word in line.words)


def _from_left(words: list[Word]) -> tuple[Word, ...]:
    """The words of a line that PDFium gives from the last to the first, as it does in text upside down; not of one in a right-to-left script."""
    backward = sum(word.left < before.left for before, word in itertools.pairwise(words))
    is_leftward = any(unicodedata.bidirectional(sign) in ("R", "AL") for word in words for sign in word.text)
    return tuple(reversed(words) if not is_leftward and backward > (len(words) - 1) / 2 else words)


def _is_text(codes: list[int]) -> bool:
    """Whether the codes are mostly letters, with few unprintable ones, which a missing character map gives."""
    drawn = [chr(code) for code in codes if code > 32 and not 0xD800 <= code < 0xE000]
    letters = sum(character.isalpha() for character in drawn)
    strange = sum(not character.isprintable() for character in drawn)
    return letters > 0 and strange <= 0.02 * len(drawn) and letters > 0.4 * len(drawn)


def _lines(text_page: Any, codes: list[int], frame: _TextFrame) -> Iterator[TextLine]:
    words, letters = list[Word](), list[_Letter]()
    for index, code in enumerate([*codes, 10]):
        if code not in (10, 13, 32, 0xA0):
            letters += [(_sign(code), text_page.get_charbox(index))] if len(letters) < _WORD_CHARACTERS else []
            continue
        if letters:
            words.append(_word(letters, frame))
            letters = []
        if code in (10, 13) and words:
            yield TextLine(block=0, words=_from_left(words))
            words = []


def _sign(code: int) -> str:
    if code == _HYPHEN:
        return "-"
    return "\N{REPLACEMENT CHARACTER}" if 0xD800 <= code < 0xE000 else chr(code)


def _word(letters: list[_Letter], frame: _TextFrame) -> Word:
    lefts, bottoms, rights, tops = zip(*(box for _, box in letters), strict=True)
    corners = frame.to_fractions(min(lefts), min(bottoms)), frame.to_fractions(max(rights), max(tops))
    (left, right), (top, bottom) = (sorted(pair) for pair in zip(*corners, strict=True))
    text = "".join(sign for sign, _ in letters)
    return Word(text=text, confidence=1.0, left=left, top=top, right=right, bottom=bottom)
