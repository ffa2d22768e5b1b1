"""Opens a scan with Pillow or PDFium and renders its pages. Runs in a sandboxed process only."""

import io
import itertools
import math
import struct
import warnings
from typing import Any, Protocol

import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image, ImageOps

from parvis.common.contract.errors import ParvisError
from parvis.common.files.unreadable_pdf import ENCRYPTED, LARGE_SHARE, find_stand_in, is_encrypted, picture_areas
from parvis.ingest_postal.models.page import TextLine
from parvis.ingest_postal.models.scan import MediaType
from parvis.ingest_postal.sandbox.pdf import annotations, text_layer

READING_DPI = 300
_SCREEN_SIDE = 1754  # A4 at 150 dpi
_PILLOW_FORMATS = {"image/tiff": "TIFF", "image/png": "PNG", "image/jpeg": "JPEG"}
_LEAST_UNEVEN, _MOST_UNEVEN = 1.1, 4.5  # 204 by 98 is 2.08; more is no fax but a wrong tag
_ORIENTATION, _TURNED_FROM = 0x0112, 5  # EXIF: from 5 on width and height are exchanged
_MANY_OUTLINES = 200  # a line under a heading is one outline; the letters of a sentence are dozens
_MOST_FRAMES = 2000


class UnreadableScan(ParvisError):
    """The letter is accepted but cannot be read; the message is for an agent."""


class ScanFile(Protocol):
    """A letter with its pages, counted from 0. Every method raises UnreadableScan, MemoryError or an error of its library."""

    page_count: int
    stand_in: str  # why its pages are not the letter itself; empty if they are

    def render(self, index: int, *, dpi: int) -> Image.Image: ...

    def text_layer(self, index: int) -> tuple[TextLine, ...] | None: ...

    def is_picture(self, index: int) -> bool: ...

    def has_graphics(self, index: int) -> bool: ...

    def annotations(self, index: int) -> tuple[str, ...]: ...


def open_scan(content: bytes, media_type: MediaType, *, pixels: int) -> ScanFile:
    """Open a letter.

    Raises: UnreadableScan, when it is encrypted, damaged, or larger than allowed.
    """
    if media_type == "application/pdf":
        return _PdfScan(content, pixels)
    return _ImageScan(content, _PILLOW_FORMATS[media_type], pixels)


class _PdfScan:
    def __init__(self, content: bytes, pixels: int) -> None:
        self._pixels = pixels
        try:
            self._document = pypdfium2.PdfDocument(content)
        except pypdfium2.PdfiumError as error:
            raise UnreadableScan(ENCRYPTED if is_encrypted(error, content) else "damaged PDF") from error
        self._document.init_forms()  # form field values are part of the letter
        self.page_count = len(self._document)
        self.stand_in = find_stand_in(self._document, content)
        if not self.page_count:
            raise UnreadableScan("PDF without pages")

    def render(self, index: int, *, dpi: int) -> Image.Image:
        page = self._page(index)
        width, height = page.get_size()
        scale = min(dpi / 72, math.sqrt(self._pixels / max(width * height, 1)))
        return page.render(scale=scale).to_pil().convert("RGB")

    def text_layer(self, index: int) -> tuple[TextLine, ...] | None:
        return text_layer.extract_text_layer(self._page(index))

    def is_picture(self, index: int) -> bool:
        """Whether pictures fill most of the page, or its text is invisible: then it is a scan, with or without a text layer."""
        page = self._page(index)
        width, height = page.get_size()
        return sum(picture_areas(page)) > LARGE_SHARE * width * height or text_layer.is_invisible(page)

    def has_graphics(self, index: int) -> bool:
        """Whether the page may show words that are not text but pictures or outlines."""
        page = self._page(index)
        outlines = sum(
            1
            for _ in itertools.islice(page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_PATH], max_depth=3), _MANY_OUTLINES)
        )
        return outlines == _MANY_OUTLINES or any(picture_areas(page))

    def annotations(self, index: int) -> tuple[str, ...]:
        """Form field values and comments of the page, and on the first page the names of embedded files."""
        page = self._page(index)
        return (
            *annotations.read_annotations(page, self._document),
            *(annotations.list_embedded_files(self._document) if index == 0 else ()),
        )

    def _page(self, index: int) -> Any:
        try:
            return self._document[index]
        except pypdfium2.PdfiumError as error:
            raise UnreadableScan(f"damaged PDF: page {index + 1} does not open") from error


class _ImageScan:
    def __init__(self, content: bytes, pillow_format: str, pixels: int) -> None:
        Image.MAX_IMAGE_PIXELS = None  # each frame is measured below, before it is decoded
        self._pixels = pixels
        self.stand_in = ""
        try:
            self._image: Image.Image = Image.open(io.BytesIO(content), formats=[pillow_format])
            # A JPEG is one page: what it announces besides (CIPA DC-007) are previews and views that no program shows.
            self.page_count: int = 1 if pillow_format == "JPEG" else _count_frames(self._image)
        except (OSError, ValueError, SyntaxError) as error:
            raise UnreadableScan("damaged picture") from error

    def render(self, index: int, *, dpi: int) -> Image.Image:
        """Render the page in its own resolution; `dpi` is ignored."""
        del dpi
        try:
            if self.page_count > 1:
                self._image.seek(index)
            if self._image.width * self._image.height > self._pixels:
                raise UnreadableScan(f"picture of more than {self._pixels // 1_000_000} million dots")
            return _make_square(_flatten(ImageOps.exif_transpose(self._image)), self._image)
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise UnreadableScan(f"damaged picture: page {index + 1} does not open") from error

    def text_layer(self, index: int) -> tuple[TextLine, ...] | None:
        del index
        return None

    def is_picture(self, index: int) -> bool:
        del index
        return True

    def has_graphics(self, index: int) -> bool:
        del index
        return True

    def annotations(self, index: int) -> tuple[str, ...]:
        del index
        return ()


def _count_frames(image: Image.Image) -> int:
    """Count the pages up to a pointer that leads to none."""
    count = 1
    warnings.simplefilter("ignore", UserWarning)  # Pillow's, about garbage behind the last page
    try:
        while count < _MOST_FRAMES and getattr(image, "is_animated", True):
            image.seek(count)
            count += 1
    except (EOFError, OSError, ValueError, SyntaxError, LookupError, TypeError, struct.error):
        pass
    image.seek(0)
    return count


def encode_preview(picture: Image.Image) -> bytes:
    """Encode a JPEG in screen size, without the original's metadata."""
    picture.thumbnail((_SCREEN_SIDE, _SCREEN_SIDE), reducing_gap=2.0)
    file = io.BytesIO()
    picture.save(file, format="JPEG", quality=70, optimize=True)
    return file.getvalue()


def _make_square(picture: Image.Image, source: Image.Image) -> Image.Image:
    """Stretch the coarser side of a fax, whose dots are not square (ITU-T T.4: 204 dots an inch by 98)."""
    across, down = (float(dots) for dots in source.info.get("dpi", (0, 0)))
    if min(across, down) < 1 or not _LEAST_UNEVEN < max(across, down) / min(across, down) < _MOST_UNEVEN:
        return picture
    if source.getexif().get(_ORIENTATION, 1) >= _TURNED_FROM:
        across, down = down, across
    finest = max(across, down)
    size = (round(picture.width * finest / across), round(picture.height * finest / down))
    return picture.resize(size, Image.Resampling.BICUBIC)


def _flatten(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # 16 bits a pixel: Pillow's own conversion clips instead of scaling
        levels = image.convert("F")
        return levels.point(lambda level: level * (1 / 257)).convert("L")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")
