"""Extracts the text layer of a PDF page with the position of each word. Runs in a sandboxed process only."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2.raw as pdfium

from parvis.ingest_postal.models.page import TextLine, Word

_MOST_CHARACTERS = 60_000
_WORD_CHARACTERS = 200
_HYPHEN = 0x02  # PDFium's mark for a word hyphenated at the end of a line


_Letter = tuple[str, tuple[float, float, float, float]]


@dataclass(frozen=True)
class _VisibleBox:
    """The visible box of a page in its own coordinates, and its rotation."""

    box: tuple[float, float, float, float]
    rotation: int

    def to_fractions(self, x: float, y: float) -> tuple[float, float]:
        """Convert a point to fractions of the visible page, from the top left."""
        left, bottom, right, top = self.box
        across = (x - left) / max(right - left, 1)
        down = (top - y) / max(top - bottom, 1)
        turned = {0: (across, down), 90: (1 - down, across), 180: (1 - across, 1 - down), 270: (down, 1 - across)}
        return turned[self.rotation]


def extract_text_layer(page: Any) -> tuple[TextLine, ...] | None:
    """Extract the text lines of a page. Gives: None without a text layer, or when its fonts have no usable character map."""
    text_page = page.get_textpage()
    count = min(text_page.count_chars(), _MOST_CHARACTERS)
    codes = [pdfium.FPDFText_GetUnicode(text_page, index) for index in range(count)]
    if not _is_text(codes):
        return None
    return tuple(_lines(text_page, codes, _VisibleBox(page.get_bbox(), page.get_rotation())))


def _is_text(codes: list[int]) -> bool:
    """Whether the codes are mostly letters, with few unprintable ones, which a missing character map gives."""
    drawn = [chr(code) for code in codes if code > 32 and not 0xD800 <= code < 0xE000]
    letters = sum(character.isalpha() for character in drawn)
    strange = sum(not character.isprintable() for character in drawn)
    return letters > 0 and strange <= 0.02 * len(drawn) and letters > 0.4 * len(drawn)


def _lines(text_page: Any, codes: list[int], frame: _VisibleBox) -> Iterator[TextLine]:
    words, letters = list[Word](), list[_Letter]()
    for index, code in enumerate([*codes, 10]):
        if code not in (10, 13, 32, 0xA0):
            letters += [(_sign(code), text_page.get_charbox(index))] if len(letters) < _WORD_CHARACTERS else []
            continue
        if letters:
            words.append(_word(letters, frame))
            letters = []
        if code in (10, 13) and words:
            yield TextLine(block=0, words=tuple(words))
            words = []


def _sign(code: int) -> str:
    if code == _HYPHEN:
        return "-"
    return "\N{REPLACEMENT CHARACTER}" if 0xD800 <= code < 0xE000 else chr(code)


def _word(letters: list[_Letter], frame: _VisibleBox) -> Word:
    lefts, bottoms, rights, tops = zip(*(box for _, box in letters), strict=True)
    corners = frame.to_fractions(min(lefts), min(bottoms)), frame.to_fractions(max(rights), max(tops))
    (left, right), (top, bottom) = (sorted(pair) for pair in zip(*corners, strict=True))
    text = "".join(sign for sign, _ in letters)
    return Word(text=text, confidence=1.0, left=left, top=top, right=right, bottom=bottom)
