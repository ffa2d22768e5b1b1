"""Makes variants of a page's picture for further OCR readings, which misread different words. Pure; no I/O."""

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageFilter

_MOST_DOTS = 20_000_000  # a larger picture costs more time than it gains words

ImageFilterFunction = Callable[[Image.Image], Image.Image]


def make_variants(grey: Image.Image) -> Iterator[Image.Image]:
    """Yield the most useful variants first. Measured on typewritten pages: each misreads other words, and none is always the best."""
    for view in _VARIANTS:
        yield view(grey)


def _resized(grey: Image.Image, factor: float) -> Image.Image:
    factor = min(factor, max((_MOST_DOTS / (grey.width * grey.height)) ** 0.5, 1.0))
    return grey.resize((round(grey.width * factor), round(grey.height * factor)), Image.Resampling.LANCZOS)


def _on_even_paper(grey: Image.Image) -> Image.Image:
    """Divide by the background: removes yellow edges, folds and the shadow of the binding."""
    small = grey.resize((max(1, grey.width // 8), max(1, grey.height // 8)), Image.Resampling.BOX)
    paper = (
        small.filter(ImageFilter.MaxFilter(5)).filter(ImageFilter.MedianFilter(5)).filter(ImageFilter.GaussianBlur(8))
    )
    dots = np.asarray(grey, dtype=np.float32)
    around = np.asarray(paper.resize(grey.size, Image.Resampling.BILINEAR), dtype=np.float32)
    return Image.fromarray(np.clip(dots / np.maximum(around, 1) * 255, 0, 255).astype(np.uint8))


def _softer(large: Image.Image, grey: Image.Image) -> Image.Image:
    """Smooth the grain of paper and ribbon with a radius of 0.75 original pixels."""
    return large.filter(ImageFilter.GaussianBlur(0.75 * large.width / grey.width))


def _darker(grey: Image.Image) -> Image.Image:
    """Darken faint strokes."""
    return _on_even_paper(grey).point([round(255 * (level / 255) ** 2) for level in range(256)])


_VARIANTS: tuple[ImageFilterFunction, ...] = (
    lambda grey: grey,
    lambda grey: _resized(grey, 1.5),
    lambda grey: _on_even_paper(grey).filter(ImageFilter.UnsharpMask(3, 200, 0)),
    lambda grey: _softer(_resized(grey, 2), grey),
    lambda grey: _resized(grey, 0.75),
    _darker,
)
