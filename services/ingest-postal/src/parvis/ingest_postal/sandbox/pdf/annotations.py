"""Extracts form fields, comments and the names of embedded files from a PDF page. Runs in a sandboxed process only."""

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

_MOST = 500  # annotations of one page, and embedded files of one PDF
_LONGEST = 4000  # characters of one annotation
_PAPERCLIP = "\N{PAPERCLIP}"
_FIELD = pdfium.FPDF_ANNOT_WIDGET
_WRITTEN = (pdfium.FPDF_FORMFIELD_TEXTFIELD, pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX)
_TICKED = (pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON)
_COMMENTS = frozenset((pdfium.FPDF_ANNOT_TEXT, pdfium.FPDF_ANNOT_FREETEXT, pdfium.FPDF_ANNOT_HIGHLIGHT, pdfium.FPDF_ANNOT_UNDERLINE, pdfium.FPDF_ANNOT_STRIKEOUT, pdfium.FPDF_ANNOT_STAMP, pdfium.FPDF_ANNOT_CARET))  # fmt: skip


def read_annotations(page: Any, document: pypdfium2.PdfDocument) -> Iterator[str]:
    """Yield the form field values and the comments of a page."""
    for number in range(min(pdfium.FPDFPage_GetAnnotCount(page), _MOST)):
        annotation = pdfium.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        try:
            text = _annotation_text(annotation, document)
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)
        if text:
            yield text


def list_embedded_files(document: pypdfium2.PdfDocument) -> Iterator[str]:
    """Yield the names of the embedded files."""
    for number in range(min(pdfium.FPDFDoc_GetAttachmentCount(document), _MOST)):
        attachment = pdfium.FPDFDoc_GetAttachment(document, number)
        name = _text(
            lambda buffer, size, attachment=attachment: pdfium.FPDFAttachment_GetName(attachment, buffer, size)
        )
        if name:
            yield f"{_PAPERCLIP} {name}"


def _annotation_text(annotation: Any, document: pypdfium2.PdfDocument) -> str:
    kind = pdfium.FPDFAnnot_GetSubtype(annotation)
    if kind == _FIELD and document.formenv:
        return _field_value(annotation, document.formenv)
    if kind in _COMMENTS:
        return _text(lambda buffer, size: pdfium.FPDFAnnot_GetStringValue(annotation, b"Contents", buffer, size))
    return ""


def _field_value(annotation: Any, form: Any) -> str:
    """The typed or chosen value; the name of a ticked box."""
    value = _text(lambda buffer, size: pdfium.FPDFAnnot_GetFormFieldValue(form, annotation, buffer, size))
    kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in _WRITTEN:
        return value
    if kind not in _TICKED or value in ("", "Off"):
        return ""
    name = _text(lambda buffer, size: pdfium.FPDFAnnot_GetFormFieldName(form, annotation, buffer, size))
    return f"[x] {name}"


def _text(fill: Callable[[Any, int], int]) -> str:
    """Read a zero-terminated UTF-16 string that PDFium writes into a buffer of the size it asks for."""
    size = min(fill(None, 0), 2 * _LONGEST)
    if size <= 2:
        return ""
    buffer = ctypes.create_string_buffer(size)
    fill(ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size)
    return buffer.raw[:size].decode("utf-16-le", errors="replace").rstrip("\0").strip()
