"""Measures the skew of a page in degrees and quarter turns, and turns it upright. Pure; no I/O."""

from typing import Any

import numpy as np
from PIL import Image

_SIDE = 900  # pixels of the reduced picture: text lines are still separate, and one angle takes 2 ms
_STEEPEST = 12.0  # degrees; a larger skew is not corrected
_FEWEST_DEGREES = 2.0  # Tesseract reads a smaller skew equally well or better, because rotation softens the letters
_SIDEWAYS = 1.3  # required ratio of columns to lines: tables have both

QuarterTurn = int  # 0, 90, 180, 270: counter-clockwise, as Pillow turns


def deskew(picture: Image.Image, quarter: QuarterTurn, angle: float, *, least: float = _FEWEST_DEGREES) -> Image.Image:
    """Rotate the page upright and fill the corners with the colour of the paper."""
    turned = picture.transpose(_TURNS[quarter]) if quarter else picture
    if abs(angle) < least:
        return turned
    return turned.rotate(angle, resample=Image.Resampling.BICUBIC, fillcolor=_paper(turned))


def measure_skew(grey: Image.Image) -> tuple[bool, float]:
    """Whether the text lines run down the page, and the correcting angle in degrees."""
    ink = _ink(grey)
    lying = ink.transpose(Image.Transpose.ROTATE_90)
    lines, angle = _roughly(ink)
    columns, steep = _roughly(lying)
    if columns > _SIDEWAYS * lines:
        return True, _finely(lying, steep)
    return False, _finely(ink, angle)


def _roughly(ink: Image.Image) -> tuple[float, float]:
    """The best contrast between lines at whole degrees, and its angle."""
    small = ink.resize((ink.width // 2, ink.height // 2), Image.Resampling.BOX)
    clearness, _, angle = max(
        (_clearness(small, angle), -abs(angle), angle) for angle in np.arange(-_STEEPEST, _STEEPEST + 0.5, 1.0)
    )
    return clearness, float(angle)


def _finely(ink: Image.Image, angle: float) -> float:
    for step in (0.5, 0.25, 0.1):
        _, _, angle = max((_clearness(ink, near), -abs(near), near) for near in (angle - step, angle, angle + step))
    return angle


def _clearness(ink: Image.Image, angle: float) -> float:
    """The contrast between rows of text and gaps: highest when the lines are horizontal."""
    turned = ink.rotate(angle, resample=Image.Resampling.BILINEAR) if angle else ink
    rows: Any = np.asarray(turned, dtype=np.float32).sum(axis=1)
    return float(np.square(np.diff(rows)).sum())


def _ink(grey: Image.Image) -> Image.Image:
    """Mask the pixels darker than the paper around them, without the edges of the sheet, which have their own skew."""
    small = grey.copy()
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    dots = np.asarray(small, dtype=np.float32)
    around = np.asarray(
        small.resize((small.width // 12 + 1, small.height // 12 + 1), Image.Resampling.BOX).resize(small.size),
        dtype=np.float32,
    )
    ink = (dots < around * 0.85).astype(np.uint8) * 255
    rim = max(small.size) // 40
    ink[:rim], ink[-rim:], ink[:, :rim], ink[:, -rim:] = 0, 0, 0, 0
    return Image.fromarray(ink)


def _paper(picture: Image.Image) -> Any:
    """The colour of the paper: the median of the pixels."""
    small = picture.resize((64, 64), Image.Resampling.BOX)
    return (
        tuple(int(np.median(band)) for band in np.asarray(small).reshape(64 * 64, -1).T)
        if picture.mode == "RGB"
        else int(np.median(np.asarray(small)))
    )


_TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
