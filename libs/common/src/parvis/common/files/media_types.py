"""Recognises the media type of a file by its first bytes, whatever its name says. Pure; no I/O."""

import re

from parvis.common.files.file_signatures import (
    ARCHIVES,
    BRANDS,
    DECLARED_TEXTS,
    DER,
    ENDINGS,
    HTML,
    LETTERS,
    MEMBERS,
    OLE,
    OLE_STREAMS,
    RIFF,
    SIGNATURES,
    UNKNOWN,
    ZIP,
)

# The only ones that are ever shown as pictures: each can be redrawn. An SVG is a program, not a picture.
PICTURES = frozenset(["image/jpeg", "image/png", "image/tiff", "image/gif", "image/webp", "image/bmp"])

_SNIFFED_BYTES = 64 * 1024
_PDF_WITHIN = 1024  # ISO 32000 annex H.3.4.1: readers accept a header within the first 1,024 bytes
# WHATWG MIME Sniffing §3: what no text has.
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_SVG = re.compile(rb"<(?:[a-z0-9]{1,20}:)?svg[\s>/]", re.IGNORECASE)
_DOCUMENTS = frozenset(kind for _, kind in MEMBERS)
_MARKUP_BYTES = 4096
_PROLOGUE = ((b"<?", b"?>"), (b"<!--", b"-->"), (b"<!doctype", b">"))
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def media_type_of(head: bytes, *, declared: str = "", name: str = "") -> str:
    """Recognise what a file is.

    Shape:  its beginning, or better the whole: what stands in a zip is listed at its end too.
    Gives:  the type that the content shows; what was declared, or the name's ending, decides only among kinds of plain text and of signatures;
            application/octet-stream for what is in no table. HTML and SVG are named as such, whatever they are declared to be.
    """
    declared = declared.partition(";")[0].strip().lower()
    start = head[:_SNIFFED_BYTES]
    return (
        _by_signature(head)
        or _by_markup(start)
        or ("application/pdf" if b"%PDF-" in head[:_PDF_WITHIN] else None)
        or _by_text(start, declared, name)
        or (declared if declared in DER and start[:1] == b"\x30" else UNKNOWN)
    )


def is_archive(media_type: str) -> bool:
    """Whether files of this type hold others."""
    return media_type in ARCHIVES or is_document(media_type)


def is_document(media_type: str) -> bool:
    """Whether it is an office document that is a zip inside."""
    return media_type in _DOCUMENTS or media_type.startswith("application/vnd.oasis.opendocument.")


def _by_signature(head: bytes) -> str | None:
    for offset, signature, media_type in SIGNATURES:
        if head.startswith(signature, offset):
            return media_type
    for letters, media_type in LETTERS:
        if head.startswith(letters) and _BINARY.search(head[:_SNIFFED_BYTES]):
            return media_type
    return _by_container(head)


def _by_container(head: bytes) -> str | None:
    """Recognise the kinds that share a container, by what stands further inside."""
    if head.startswith(ZIP):
        return _in_zip(head)
    if head.startswith(OLE):
        return next((kind for stream, kind in OLE_STREAMS if stream in head), "application/x-ole-storage")
    if head[4:8] == b"ftyp":
        return next((kind for brand, kind in BRANDS if head.startswith(brand, 8)), "video/mp4")
    return RIFF.get(head[8:12]) if head.startswith(b"RIFF") else None


def _in_zip(head: bytes) -> str:
    """Recognise office documents, which are zips, by the names of their members, and an OpenDocument by its first member's content."""
    if head[30:38] == b"mimetype":
        kind = re.match(
            rb"application/(?:vnd\.oasis\.opendocument\.[a-z-]{1,40}|epub\+zip)", head[38:150].split(b"PK")[0]
        )
        if kind:  # no other: it would let a zip call itself a picture
            return kind.group().decode()
    names = head[:_SNIFFED_BYTES] + head[-_SNIFFED_BYTES:]
    return next((kind for member, kind in MEMBERS if member in names), "application/zip")


def _by_markup(start: bytes) -> str | None:
    text = _decode_start(start)[:_MARKUP_BYTES].lstrip()
    if not text.startswith(b"<"):
        return None
    first = _without_prologue(text)
    is_xml = text[:9].lower().startswith((b"<?xml", b"<!doctype"))
    if _SVG.match(first) or (is_xml and _SVG.search(text)):
        return "image/svg+xml"
    if HTML.match(text) or HTML.match(first) or (is_xml and b"<html" in text.lower()):
        return "text/html"
    return "text/xml" if is_xml else None


def _without_prologue(text: bytes) -> bytes:
    """From the first element on."""
    while end_mark := next((end for begin, end in _PROLOGUE if text[:9].lower().startswith(begin)), None):
        _, mark, remainder = text.partition(end_mark)
        if not mark:
            break
        text = remainder.lstrip()
    return text


def _by_text(start: bytes, declared: str, name: str) -> str | None:
    if not start or _BINARY.search(_decode_start(start)):
        return None
    text = _decode_start(start).lstrip().upper()
    for beginning, kind in ((b"BEGIN:VCALENDAR", "text/calendar"), (b"BEGIN:VCARD", "text/vcard")):
        if text.startswith(beginning):
            return kind
    if declared in DECLARED_TEXTS and declared != "text/plain":
        return declared
    return ENDINGS.get(name.rpartition(".")[2].lower(), "text/plain")


def _decode_start(start: bytes) -> bytes:
    """Without its byte order mark; UTF-16 in the letters that it has in common with ASCII."""
    if start.startswith(_MARKS[1:]):
        codec = "utf-16-le" if start.startswith(b"\xff\xfe") else "utf-16-be"
        return start[2:].decode(codec, "replace").encode("utf-8", "replace")
    return start.removeprefix(_MARKS[0])
