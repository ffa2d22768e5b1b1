"""Measures by how many degrees and quarter turns a page lies askew, and turns it upright. Pure."""

from typing import Any

import numpy as np
from PIL import Image

_SIDE = 900  # dots of the reduced picture: lines of text are still apart, and a try costs two milliseconds
_STEEPEST = 12.0  # degrees; paper that lies worse is put back by hand
_FEWEST_DEGREES = 2.0  # Tesseract reads less as well or better: turning softens the letters
_SIDEWAYS = 1.3  # how much clearer the columns must be than the lines: tables have both

QuarterTurn = int  # 0, 90, 180, 270: counter-clockwise, as Pillow turns


def deskew(picture: Image.Image, quarter: QuarterTurn, angle: float, *, least: float = _FEWEST_DEGREES) -> Image.Image:
    """The page as it should have lain; what comes in at the corners is paper."""
    turned = picture.transpose(_TURNS[quarter]) if quarter else picture
    if abs(angle) < least:
        return turned
    return turned.rotate(angle, resample=Image.Resampling.BICUBIC, fillcolor=_paper(turned))


def measure_skew(grey: Image.Image) -> tuple[bool, float]:
    """Whether the lines of text run down the page, and the degrees that set them straight."""
    ink = _ink(grey)
    lying = ink.transpose(Image.Transpose.ROTATE_90)
    lines, angle = _roughly(ink)
    columns, steep = _roughly(lying)
    if columns > _SIDEWAYS * lines:
        return True, _finely(lying, steep)
    return False, _finely(ink, angle)


def _roughly(ink: Image.Image) -> tuple[float, float]:
    """The clearest lines that turning by whole degrees gives, and their angle."""
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
    """How sharply rows of dots change from line to gap: highest when the lines lie straight."""
    turned = ink.rotate(angle, resample=Image.Resampling.BILINEAR) if angle else ink
    rows: Any = np.asarray(turned, dtype=np.float32).sum(axis=1)
    return float(np.square(np.diff(rows)).sum())


def _ink(grey: Image.Image) -> Image.Image:
    """What is darker than the paper around it, without the edges of the sheet: they have a lie of their own."""
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
    """The colour of the paper: what most dots have."""
    small = picture.resize((64, 64), Image.Resampling.BOX)
    return (
        tuple(int(np.median(band)) for band in np.asarray(small).reshape(64 * 64, -1).T)
        if picture.mode == "RGB"
        else int(np.median(np.asarray(small)))
    )


_TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
