"""Corrects commas and full stops by the shape of their ink. Pure; no I/O.

Tesseract reads a typewriter's heavy full stop as a comma with high confidence. Measured on typewritten pages, a full stop is 0.75 to
1.16 times as high as wide, a comma 1.29 to 2.1 times.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from parvis.ingest_postal.models.page import TextLine, Word

_ROUND, _LONG = 1.2, 1.28
_NARROWEST, _WIDEST = 0.2, 0.7  # of the width of a letter
_ENLARGED = 4
_FEWEST_DOTS = 5  # a narrower letter has no measurable shape


def correct_punctuation(lines: tuple[TextLine, ...], grey: Image.Image) -> tuple[TextLine, ...]:
    return tuple(
        line.model_copy(update={"words": tuple(_correct_word(word, grey) for word in line.words)}) for line in lines
    )


def _correct_word(word: Word, grey: Image.Image) -> Word:
    indexes = [index for index, sign in enumerate(word.text) if sign in ".," and index]
    if not indexes or len(word.text) > 60:
        return word
    letters = list(word.text)
    for index in indexes:
        ratio = _measure_blot(word, index, grey)
        if ratio:
            letters[index] = "." if ratio < _ROUND else "," if ratio > _LONG else letters[index]
    return word.model_copy(update={"text": "".join(letters)})


def _measure_blot(word: Word, index: int, grey: Image.Image) -> float | None:
    """Height divided by width of the blot at the character's position. None when no blot stands alone there."""
    letter = (word.right - word.left) * grey.width / len(word.text)
    height = (word.bottom - word.top) * grey.height
    if letter < _FEWEST_DOTS or height < _FEWEST_DOTS:
        return None
    middle = word.left * grey.width + (index + 0.5) * letter
    top = word.top * grey.height
    box = (
        round(middle - 1.2 * letter),
        round(top + 0.45 * height),
        round(middle + 1.2 * letter),
        round(top + 1.35 * height),
    )
    ink = _ink(grey, box, _threshold(word, grey))
    blots = [blot for blot in _blots(ink) if _NARROWEST < (blot[1] - blot[0]) / (letter * _ENLARGED) < _WIDEST]
    if not blots:
        return None
    left, right, first, last = min(blots, key=lambda blot: abs(blot[0] + blot[1] - ink.shape[1]))
    return (last - first) / (right - left)


def _blots(ink: Any) -> Iterator[tuple[int, int, int, int]]:
    """Yield (left, right, top, bottom) of blots between white columns that touch neither the top nor the bottom of the cut-out."""
    inked = np.concatenate(([False], ink.any(axis=0), [False]))
    edges = np.flatnonzero(inked[1:] != inked[:-1])
    for left, right in zip(edges[::2], edges[1::2], strict=True):
        rows = np.flatnonzero(ink[:, left:right].any(axis=1))
        if rows[0] > 0 and rows[-1] < ink.shape[0] - 1:
            yield int(left), int(right), int(rows[0]), int(rows[-1]) + 1


def _ink(grey: Image.Image, box: tuple[int, int, int, int], threshold: float) -> Any:
    part = grey.crop(box)
    large = part.resize((part.width * _ENLARGED, part.height * _ENLARGED), Image.Resampling.BICUBIC)
    return np.asarray(large) < threshold


def _threshold(word: Word, grey: Image.Image) -> float:
    box = (word.left * grey.width, word.top * grey.height, word.right * grey.width, word.bottom * grey.height)
    dots = np.asarray(grey.crop((int(box[0]), int(box[1]), int(box[2]) + 1, int(box[3]) + 1)))
    return float(np.percentile(dots, 85) + np.percentile(dots, 5)) / 2
