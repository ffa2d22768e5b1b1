"""A batch and the pages of each letter in, each letter as a file of its own out. Runs in a worker process only."""

import io
import json
from collections.abc import Iterable, Iterator, Sequence

import pypdfium2
from PIL import Image, ImageOps

from parvis.common.workers import Frame
from parvis.common.workers.worker import serve
from parvis.ingest_postal.read.parts import BATCH, LETTER, PAGES, PARTS

_LOOKED_AT = (420, 594)  # dots: enough to see whether somebody wrote on a page
_INK = 96  # levels darker than the paper around it
_BLANK_SHARE = 0.0005  # of the page: a speck of dust, the rim of a punched hole
_RIM = 0.04  # of each side, where the scanner draws shadows


def divide(question: list[Frame]) -> Iterable[Frame]:
    """For each letter its pages as a list of numbers, then its bytes.

    Shape: PARTS is a list of [first page may be blank, [page, page, …]] as JSON; pages count from 1.
    """
    asked = dict(question)
    parts: list[tuple[bool, list[int]]] = json.loads(asked[PARTS])
    is_pdf = b"%PDF-" in asked[BATCH][:1024]
    letters = _of_pdf(asked[BATCH], parts) if is_pdf else _of_tiff(asked[BATCH], parts)
    for pages, content in letters:
        yield PAGES, json.dumps(pages).encode()
        yield LETTER, content


def _of_pdf(content: bytes, parts: Sequence[tuple[bool, list[int]]]) -> Iterator[tuple[list[int], bytes]]:
    batch = pypdfium2.PdfDocument(content)
    for may_be_back, pages in parts:
        kept = pages
        if may_be_back:
            page = batch[pages[0] - 1]
            picture = page.render(scale=_LOOKED_AT[1] / max(*page.get_size(), 1), grayscale=True).to_pil()
            kept = pages[1:] if _is_blank(picture) else pages
        if kept:
            letter, file = pypdfium2.PdfDocument.new(), io.BytesIO()
            letter.import_pages(batch, pages=[number - 1 for number in kept])
            letter.save(file)
            letter.close()
            yield kept, file.getvalue()


def _of_tiff(content: bytes, parts: Sequence[tuple[bool, list[int]]]) -> Iterator[tuple[list[int], bytes]]:
    batch: Image.Image = Image.open(io.BytesIO(content), formats=["TIFF"])
    for may_be_back, pages in parts:
        sheets = [_sheet(batch, number) for number in pages]
        if may_be_back and _is_blank(sheets[0]):
            pages, sheets = pages[1:], sheets[1:]  # noqa: PLW2901 (the letter, without the back of the sheet before it)
        if sheets:
            file = io.BytesIO()
            compression = "group4" if all(sheet.mode == "1" for sheet in sheets) else "tiff_adobe_deflate"
            dpi = batch.info.get("dpi", (200, 200))
            sheets[0].save(file, "TIFF", save_all=True, append_images=sheets[1:], compression=compression, dpi=dpi)
            yield pages, file.getvalue()


def _sheet(batch: Image.Image, number: int) -> Image.Image:
    batch.seek(number - 1)
    return ImageOps.exif_transpose(batch.copy())


def _is_blank(picture: Image.Image) -> bool:
    """Whether nothing stands on it but dust and the shadow of its rim."""
    grey = picture.convert("L")
    grey.thumbnail(_LOOKED_AT)
    across, down = round(grey.width * _RIM), round(grey.height * _RIM)
    counts = grey.crop((across, down, grey.width - across, grey.height - down)).histogram()
    total = max(sum(counts), 1)
    paper = next(level for level in range(255, -1, -1) if sum(counts[level:]) > total / 2)
    return sum(counts[: max(paper - _INK, 0)]) < total * _BLANK_SHARE


if __name__ == "__main__":
    serve(divide, warm=lambda: None)
