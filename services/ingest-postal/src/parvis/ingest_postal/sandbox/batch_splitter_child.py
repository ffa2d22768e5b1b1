"""Splits a PDF or TIFF into letters. Runs in a sandboxed process only."""

import io
import json
from collections.abc import Iterable, Iterator, Sequence

import pypdfium2
from PIL import Image, ImageOps

from parvis.common.runtime.sandbox.child import serve
from parvis.common.runtime.sandbox.pipe_protocol import Frame
from parvis.ingest_postal.sandbox.pipe_messages import BATCH, LETTER, LETTER_PAGES


def split_batch(request: list[Frame]) -> Iterable[Frame]:
    """Yield the file of each letter, in order.

    Shape: LETTER_PAGES is JSON, for each letter a list of page numbers from 1.
    """
    frames = dict(request)
    letters: list[list[int]] = json.loads(frames[LETTER_PAGES])
    is_pdf = b"%PDF-" in frames[BATCH][:1024]
    for content in _split_pdf(frames[BATCH], letters) if is_pdf else _split_tiff(frames[BATCH], letters):
        yield LETTER, content


def _split_pdf(content: bytes, parts: Sequence[list[int]]) -> Iterator[bytes]:
    batch = pypdfium2.PdfDocument(content)
    for pages in parts:
        letter, file = pypdfium2.PdfDocument.new(), io.BytesIO()
        letter.import_pages(batch, pages=[number - 1 for number in pages])
        letter.save(file)
        letter.close()
        yield file.getvalue()


def _split_tiff(content: bytes, parts: Sequence[list[int]]) -> Iterator[bytes]:
    batch: Image.Image = Image.open(io.BytesIO(content), formats=["TIFF"])
    for pages in parts:
        sheets, file = [_sheet(batch, number) for number in pages], io.BytesIO()
        compression = "group4" if all(sheet.mode == "1" for sheet in sheets) else "tiff_adobe_deflate"
        dpi = batch.info.get("dpi", (200, 200))
        sheets[0].save(file, "TIFF", save_all=True, append_images=sheets[1:], compression=compression, dpi=dpi)
        yield file.getvalue()


def _sheet(batch: Image.Image, number: int) -> Image.Image:
    batch.seek(number - 1)
    return ImageOps.exif_transpose(batch.copy())


if __name__ == "__main__":
    serve(split_batch, warm=lambda: None)
