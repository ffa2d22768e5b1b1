"""Reads scans in a sandboxed process with limited resources and without secrets."""

import time
from collections.abc import Iterator
from typing import Any

from PIL import Image

from parvis.common.runtime.sandbox.child import serve
from parvis.common.runtime.sandbox.pipe_protocol import Frame
from parvis.ingest_postal.models.page import ScannedPage, TextLine, Word
from parvis.ingest_postal.parse.separator_sheets import has_separator_sheet
from parvis.ingest_postal.sandbox import pipe_messages
from parvis.ingest_postal.sandbox.ocr.page_ocr import BUDGET_S, recognize_page
from parvis.ingest_postal.sandbox.ocr.tesseract import Lines, TesseractEngine
from parvis.ingest_postal.sandbox.ocr.text_layer_check import is_better, is_plausible, is_short
from parvis.ingest_postal.sandbox.page.barcodes import find_codes
from parvis.ingest_postal.sandbox.page.blank_page import is_blank
from parvis.ingest_postal.sandbox.page.deskew import deskew
from parvis.ingest_postal.sandbox.scan_file import READING_DPI, ScanFile, UnreadableScan, encode_preview, open_scan

_PREVIEW_DPI = 200
_ONE_PASS_S = 1.5  # processor time to read an A4 page once
_MIN_SKEW = 0.5  # degrees; less is hardly visible
# Errors of Pillow, PDFium and Tesseract for damaged files. Any other ends this process, and the reading reports it.
_LIBRARY_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


def read_scan(engine: TesseractEngine, request: list[Frame]) -> Iterator[Frame]:
    """Yield the page count, the pictures, codes and words of the pages, and the trouble if there was any.

    Raises: MemoryError, at the end, so that the process is replaced; the readable pages are sent before.
    """
    parts = dict(request)
    job = pipe_messages.Job.model_validate_json(parts[pipe_messages.JOB])
    errors: list[BaseException] = []
    yield from _collect_errors(_read_pages(engine, job, parts[pipe_messages.SCAN], errors), errors)
    if errors:
        yield pipe_messages.TROUBLE, _describe_error(errors[0]).encode()
    if any(isinstance(trouble, MemoryError) for trouble in errors):
        raise MemoryError


def _read_pages(
    engine: TesseractEngine, job: pipe_messages.Job, content: bytes, errors: list[BaseException]
) -> Iterator[Frame]:
    """Yield all pictures and codes before any word: when OCR fails, agents have the pictures, and a batch can be split."""
    scan = open_scan(content, job.media_type, pixels=job.pixels)
    yield pipe_messages.COUNT, pipe_messages.NUMBER.pack(scan.page_count)
    if scan.stand_in:
        errors.append(UnreadableScan(scan.stand_in))
    seen: list[ScannedPage] = []
    for index in range(min(scan.page_count, max(job.pages, job.batch_pages))):
        yield from _collect_errors(_examine_page(scan, index, seen, with_picture=index < job.pages), errors)
    spare_s = job.cpu_s / 4  # for variants: every page of a long letter is read once before any is read seven times
    for page in [] if has_separator_sheet(seen) else seen[: job.pages]:
        if page.is_blank:
            continue
        started_s = time.process_time()
        yield from _collect_errors(_read_words(engine, scan, page, min(BUDGET_S, spare_s)), errors)
        spare_s -= max(time.process_time() - started_s - _ONE_PASS_S, 0)


def _collect_errors(answers: Iterator[Frame], errors: list[BaseException]) -> Iterator[Frame]:
    """Yield the frames of one page and collect its error, so that the other pages are still read."""
    try:
        yield from answers
    except (*_LIBRARY_ERRORS, MemoryError, UnreadableScan) as error:
        errors.append(error)


def _examine_page(scan: ScanFile, index: int, seen: list[ScannedPage], *, with_picture: bool) -> Iterator[Frame]:
    picture = scan.render(index, dpi=_PREVIEW_DPI)
    codes = find_codes(picture)
    blank = not codes and is_blank(picture) and not scan.text_layer(index) and not scan.annotations(index)
    page = ScannedPage(
        number=index + 1, lines=(), confidence=0, source="reading", codes=codes, is_read=blank, is_blank=blank
    )
    if with_picture:
        yield _preview_frame(page, picture)
    yield _page_frame(page)
    seen.append(page)


def _read_words(engine: TesseractEngine, scan: ScanFile, seen: ScannedPage, budget_s: float) -> Iterator[Frame]:
    """Yield the words of a page, and its deskewed picture if it was askew."""
    index = seen.number - 1
    layer, annotations = scan.text_layer(index), scan.annotations(index)
    if layer and _is_complete(layer, scan, index) and is_plausible(layer, engine):
        yield _page_frame(_page_with_text(seen, layer, annotations, confidence=1.0, source="layer"))
        return
    picture = scan.render(index, dpi=READING_DPI)
    recognized = recognize_page(engine, picture, budget_s=budget_s)
    if layer and is_better(layer, recognized, engine, is_picture=scan.is_picture(index)):
        # Most often another program's OCR of the same picture: the low confidence of ours warns the agent.
        yield _page_frame(_page_with_text(seen, layer, annotations, confidence=recognized.confidence, source="reading"))
        return
    if layer and not scan.is_picture(index):
        annotations = (*(line.text for line in layer), *annotations)
    yield _page_frame(
        _page_with_text(
            seen,
            recognized.lines,
            annotations,
            confidence=recognized.confidence,
            source="reading",
            language=recognized.language,
        )
    )
    if recognized.quarter or abs(recognized.angle) >= _MIN_SKEW:
        deskewed = deskew(picture, recognized.quarter, recognized.angle, least=_MIN_SKEW)
        yield _preview_frame(seen, deskewed)


def _is_complete(own: Lines, scan: ScanFile, index: int) -> bool:
    """Whether the text layer is all that the page shows: a program wrote it, and it is not a scan."""
    return not scan.has_graphics(index) if is_short(own) else not scan.is_picture(index)


def _page_with_text(seen: ScannedPage, lines: Lines, annotations: tuple[str, ...], **fields: Any) -> ScannedPage:
    """Add the annotations that the text does not contain as a block below it."""
    known = " ".join(line.text for line in lines)
    block = max((line.block for line in lines), default=0) + 1
    more = [
        TextLine(block=block, words=_unplaced_words(text))
        for text in dict.fromkeys(annotations)
        if " ".join(text.split()) not in known
    ]
    return seen.model_copy(update={"lines": (*lines, *more), "is_read": True, **fields})


def _unplaced_words(text: str) -> tuple[Word, ...]:
    return tuple(Word(text=part[:1000], confidence=1.0, left=0, top=1, right=1, bottom=1) for part in text.split())


def _page_frame(page: ScannedPage) -> Frame:
    return pipe_messages.PAGE, page.model_dump_json().encode()


def _preview_frame(page: ScannedPage, picture: Image.Image) -> Frame:
    return pipe_messages.PICTURE, pipe_messages.NUMBER.pack(page.number) + encode_preview(picture)


def _describe_error(error: BaseException) -> str:
    """The reason for an agent. A library's own message is left out, because it may quote the letter."""
    if isinstance(error, UnreadableScan):
        return str(error)
    if isinstance(error, MemoryError):
        return "reading needs more memory than allowed"
    return f"damaged file ({type(error).__name__})"


def main() -> None:
    engines: list[TesseractEngine] = []

    def warm() -> None:
        engines.append(TesseractEngine())

    serve(lambda request: read_scan(engines[0], request), warm=warm)


if __name__ == "__main__":
    main()
