"""Detects blank pages; in doubt a page is not blank. Pure; no I/O."""

from typing import Any

import numpy as np
from PIL import Image, ImageFilter

_SIDE = 880  # pixels of the reduced picture: A4 at 75 dpi averages out the scanner's grain and still shows a pen stroke
_CELL = 15  # dots: five millimetres
_RIM = 2  # cells at each edge: shadows of the lid, black borders, staples
_FEWEST_DOTS = 4  # in a cell: a speck of dust has fewer
_INK, _FAINT = (
    0.28,
    0.10,
)  # darker than the paper around it: a pen; a pencil, a faint stamp or the shine-through of the back
_GRAINS = 4.0  # times the grain of the paper: beyond random noise
_SHARP = 0.22  # share of contrast that a stroke loses from one pixel to the next; shine-through is softer
_COLOUR = 40  # levels between red, green and blue: a stamp, a biro
_BORDER = 110  # of 255: darker than any paper
_MARGIN = 0.14  # of the page's width: punched holes lie in it


def is_blank(picture: Image.Image) -> bool:
    """Whether the page has only dust, borders, punched holes and shine-through of the other side."""
    small = picture.convert("RGB")
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX, reducing_gap=3.0)
    colours = np.asarray(small, dtype=np.int16)
    grey = small.convert("L")
    contrast = _contrast(grey)
    if _is_dark(grey):
        return False
    contrast[_borders(grey)] = 0
    ink = _cells(contrast > _INK)
    coloured = _cells((colours.max(axis=2) - colours.min(axis=2) > _COLOUR) & (contrast > _FAINT))
    if (ink & ~_holes(contrast, ink)).any() or coloured.sum() > 1:
        return False
    least = max(_FAINT, _GRAINS * _grain(contrast))
    faint = _cells(contrast > least) & ~_holes(contrast, ink)
    return not faint.any() or _shines_through(contrast, faint, least)


def _contrast(grey: Image.Image) -> Any:
    """How much darker each pixel is than the paper around it: 1 for black."""
    tiny = grey.resize((max(1, grey.width // 8), max(1, grey.height // 8)), Image.Resampling.BOX)
    paper = (
        tiny.filter(ImageFilter.MaxFilter(5))
        .filter(ImageFilter.GaussianBlur(3))
        .resize(grey.size, Image.Resampling.BILINEAR)
    )
    around = np.maximum(np.asarray(paper, dtype=np.float32), 1)
    return 1 - np.asarray(grey, dtype=np.float32) / around


def _borders(grey: Image.Image) -> Any:
    """Mask the dark borders beside the sheet: rows and columns that are mostly dark, from the edge inwards."""
    dark = np.asarray(grey) < _BORDER
    rows, columns = dark.mean(axis=1) > 0.5, dark.mean(axis=0) > 0.5
    along = np.zeros_like(dark)
    along[np.logical_and.accumulate(rows)] = True
    along[np.logical_and.accumulate(rows[::-1])[::-1]] = True
    along[:, np.logical_and.accumulate(columns)] = True
    along[:, np.logical_and.accumulate(columns[::-1])[::-1]] = True
    for _ in range(2):  # its edge is two pixels wide
        along[1:] |= along[:-1].copy()
        along[:-1] |= along[1:].copy()
        along[:, 1:] |= along[:, :-1].copy()
        along[:, :-1] |= along[:, 1:].copy()
    return along


def _grain(contrast: Any) -> float:
    """The noise of bare paper, as a robust standard deviation."""
    return float(1.48 * np.median(np.abs(contrast - np.median(contrast))))


def _is_dark(grey: Image.Image) -> bool:
    """Whether the page is mostly dark, such as a photograph."""
    return float(np.median(np.asarray(grey))) < 110


def _cells(marked: Any) -> Any:
    """Mask the cells, without those at the rim, that have more marks than dust leaves."""
    down, across = marked.shape[0] // _CELL, marked.shape[1] // _CELL
    beside = np.zeros_like(marked)
    beside[1:] |= marked[:-1]
    beside[:-1] |= marked[1:]
    beside[:, 1:] |= marked[:, :-1]
    beside[:, :-1] |= marked[:, 1:]
    counts = (marked & beside)[: down * _CELL, : across * _CELL].reshape(down, _CELL, across, _CELL).sum(axis=(1, 3))
    cells = counts >= _FEWEST_DOTS
    cells[:_RIM], cells[-_RIM:], cells[:, :_RIM], cells[:, -_RIM:] = False, False, False, False
    return cells


def _holes(contrast: Any, ink: Any) -> Any:
    """Mask the cells of punched holes: round, solid, isolated dark blots near the edges."""
    holes = np.zeros_like(ink)
    rows, columns = ink.shape
    near = round(columns * _MARGIN)
    for row, column in zip(*np.nonzero(ink), strict=True):
        if near <= column < columns - near and near <= row < rows - near:
            continue
        around = ink[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4]
        part = (
            contrast[max(row - 1, 0) * _CELL : (row + 2) * _CELL, max(column - 1, 0) * _CELL : (column + 2) * _CELL]
            > _INK
        )
        if around.sum() <= 9 and _is_round(part):
            holes[row, column] = True
    return holes


def _is_round(part: Any) -> bool:
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    filled = part.sum() / (height * width)
    return filled > 0.6 and 0.6 < height / width < 1.7 and height >= 8


def _shines_through(contrast: Any, faint: Any, least: float) -> bool:
    """Whether the faint marks are soft and cover more of the page than a stamp."""
    if faint.sum() < 0.05 * faint.size:
        return False
    steps = np.abs(np.diff(contrast, axis=1))[:, :-1]
    strokes = contrast[:, 1:-1] > least
    return float(steps[strokes].mean() / contrast[:, 1:-1][strokes].mean()) < _SHARP
