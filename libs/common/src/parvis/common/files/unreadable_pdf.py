"""Recognises PDFs whose pages are not the document itself: encrypted, protected, portfolios, dynamic forms. For sandboxed processes only."""

from collections.abc import Iterator
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from parvis.common.files.placeholder_page_detection import is_placeholder_page

ENCRYPTED = "encrypted PDF"
LARGE_SHARE = 0.5  # of the page: then the picture is the page
_PASSWORD_CODE = 4  # FPDF_ERR_PASSWORD
_MOST_COVER_PAGES = 2


def screen_pdf(content: bytes, media_type: str) -> str | None:
    """Say why the words of a PDF are not on its pages; None if they are, or if the file is no PDF or a damaged one."""
    if media_type != "application/pdf":
        return None
    try:
        with pypdfium2.PdfDocument(content) as document:
            return find_stand_in(document, content) or None
    except pypdfium2.PdfiumError as error:
        return ENCRYPTED if is_encrypted(error, content) else None


def is_encrypted(error: pypdfium2.PdfiumError, content: bytes) -> bool:
    """Whether a PDF did not open for want of its password. PDFium keeps the code of an earlier file, so that /Encrypt must occur too."""
    return getattr(error, "err_code", None) == _PASSWORD_CODE and b"/Encrypt" in content


def find_stand_in(document: pypdfium2.PdfDocument, content: bytes) -> str:
    """Why the pages only stand in for the document: an XFA form, a portfolio, a protected wrapper ("Please wait...", "Open in...")."""
    if document.get_formtype() == pdfium.FORMTYPE_XFA_FULL:
        return "a dynamic form (XFA), which only Adobe Reader shows"
    if pdfium.FPDFDoc_GetAttachmentCount(document):
        if b"/EncryptedPayload" in content:
            return "a protected PDF: the letter is encrypted inside it"
        if b"/Collection" in content:
            return "a PDF portfolio: the letter is in its embedded files"
    return "a cover page: the letter opens in another program only" if _has_only_a_cover(document) else ""


def picture_areas(page: Any) -> Iterator[float]:
    """The area of each picture on the page, in square points."""
    for picture in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3):
        left, bottom, right, top = picture.get_bounds()
        yield abs((right - left) * (top - bottom))


def _has_only_a_cover(document: pypdfium2.PdfDocument) -> bool:
    """Whether one or two pages of text, without a scanned picture, are all there is, and a program's."""
    if not 0 < len(document) <= _MOST_COVER_PAGES:
        return False
    try:
        pages = [document[index] for index in range(len(document))]
        text = "\n".join(page.get_textpage().get_text_range() for page in pages)
    except pypdfium2.PdfiumError:
        return False
    return is_placeholder_page(text) and not any(
        area > LARGE_SHARE * page.get_width() * page.get_height() for page in pages for area in picture_areas(page)
    )
