"""Checks from a file's headers which type of scan it is and whether it is complete. Decodes nothing; never raises."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from parvis.ingest_postal.models.scan import MediaType

_TAIL_BYTES = 1024  # ISO 32000 annex H.3.4.4: readers look for the end of a PDF in its last 1,024 bytes
_PADDING = b"\0\r\n\t\f "  # white space of ISO 32000, 7.2.3
_PDF_SYNTAX = (b" 0 obj", b"endobj", b"endstream", b"startxref")
_MOST_DIRECTORIES = 2000
_OFFSETS, _COUNTS = (273, 324), (279, 325)  # TIFF 6.0: StripOffsets, TileOffsets; StripByteCounts, TileByteCounts
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HIGHEST_TYPE = 18  # IFD8 of BigTIFF
_WIDTHS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}  # TIFF field type: struct letter, of those that hold an offset


@dataclass(frozen=True)
class FileVerdict:
    """The media type of a file by its content, and its fault; None when it is complete."""

    media_type: MediaType | None
    fault: str | None


def check_file_integrity(content: bytes, *, size_limit_bytes: int) -> FileVerdict:
    """Check whether the file is a complete scan.

    Gives: a fault for an unfinished file, for one that is not a scan and for one that is too large. A complete file that no program
           can open has no fault: it is a letter, and an agent reads it.
    """
    if not content:
        return FileVerdict(None, "the file is empty")
    if len(content) > size_limit_bytes:
        return FileVerdict(None, f"the file is larger than {size_limit_bytes // (1024 * 1024)} MiB")
    if content[:4] in _TIFF_STARTS:
        return FileVerdict("image/tiff", _fault_of_tiff(content, size_limit_bytes))
    for media_type, is_such, fault_of in _KINDS:
        if is_such(content):
            return FileVerdict(media_type, fault_of(content))
    return FileVerdict(None, "the file is neither PDF, TIFF, PNG nor JPEG")


def _fault_of_pdf(content: bytes) -> str | None:
    end = content.rfind(b"%%EOF")
    behind = content[end:].rstrip(_PADDING)  # programs and portals add blanks, pages, signatures of any length
    if end < 0 or (
        len(behind) > _TAIL_BYTES and any(word in behind for word in _PDF_SYNTAX)
    ):  # objects: an update that is not whole
        return "the end of the PDF is missing"
    head = content[: 2 * _TAIL_BYTES]
    if b"/Linearized" in head:  # such a file has a %%EOF near its beginning too, but states its length
        length = head.partition(b"/L ")[2].split(b"/")[0].strip()
        if length.isdigit() and len(length) < 16 and int(length) > len(content):
            return "the PDF is shorter than it says"
    return None


def _fault_of_jpeg(content: bytes) -> str | None:
    """Skip the segments up to the picture itself: a preview in a segment has its own end marker."""
    offset = 2
    while offset + 4 <= len(content) and content[offset] == 0xFF:
        marker = content[offset + 1]
        if marker == 0xFF:  # fill byte
            offset += 1
        elif marker == 0xDA:  # start of scan: from here on FF D9 is the end of the picture and nothing else
            return None if content.find(b"\xff\xd9", offset) > 0 else "the end of the JPEG is missing"
        elif marker in (0x01, *range(0xD0, 0xD9)):  # markers without a length
            offset += 2
        else:
            offset += 2 + int.from_bytes(content[offset + 2 : offset + 4])
    return "the JPEG has no picture yet"


def _fault_of_png(content: bytes) -> str | None:
    offset = 8
    while offset + 12 <= len(content):
        length, name = struct.unpack_from(">I4s", content, offset)
        offset += 12 + length
        if name == b"IEND":
            return None if offset <= len(content) else "the end of the PNG is missing"
    return "the end of the PNG is missing"


def _fault_of_tiff(content: bytes, size_limit_bytes: int) -> str | None:
    """Every directory and every strip or tile that it names must lie within the file."""
    try:
        end = _end_of_tiff(content, size_limit_bytes)
    except (struct.error, OverflowError):  # an offset points beyond the file, or overflows
        return "a directory of the TIFF is missing"
    if end is None:
        return "the TIFF has no page yet"
    return "a part of the TIFF is missing" if end > len(content) else None


def _end_of_tiff(content: bytes, size_limit_bytes: int) -> int | None:
    """Where the last page ends; None without any. As libtiff does, it stops at a pointer that leads to no directory:
    one beyond the largest file that is accepted, or one to bytes that are none.
    """
    order = "<" if content.startswith(b"II") else ">"
    big = content[2:3] == b"+" or content[3:4] == b"+"
    pointer, number = ("Q", "Q") if big else ("I", "H")
    directory: int = struct.unpack_from(order + pointer, content, 8 if big else 4)[0]
    seen: set[int] = set()
    end: int | None = None
    while directory and directory not in seen and len(seen) < _MOST_DIRECTORIES:
        seen.add(directory)
        entries: int = struct.unpack_from(order + number, content, directory)[0]
        first = directory + struct.calcsize(order + number)
        width = 20 if big else 12
        entry_offsets = range(first, first + entries * width, width)
        if end is not None and first <= len(content) and not _is_directory(content, order, entry_offsets):
            break
        end = max(end or 0, _end_of_directory(content, order, big, entry_offsets))
        directory = struct.unpack_from(order + pointer, content, entry_offsets.stop)[0]
        if directory > size_limit_bytes:
            break
    return end


def _is_directory(content: bytes, order: str, entry_offsets: range) -> bool:
    """Whether this looks like a directory: it has entries, of known types, with rising tags (TIFF 6.0, section 2)."""
    within = range(entry_offsets.start, min(entry_offsets.stop, len(content) - 3), entry_offsets.step)
    entries = [struct.unpack_from(order + "HH", content, offset) for offset in within[:4096]]
    tags = [tag for tag, _ in entries]
    return bool(tags) and tags == sorted(tags) and all(1 <= kind <= _HIGHEST_TYPE for _, kind in entries)


def _end_of_directory(content: bytes, order: str, big: bool, entry_offsets: range) -> int:
    offsets: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()
    for entry_offset in entry_offsets[:4096]:
        tag: int = struct.unpack_from(order + "H", content, entry_offset)[0]
        if tag in _OFFSETS:
            offsets = _numbers(content, order, big, entry_offset)
        elif tag in _COUNTS:
            counts = _numbers(content, order, big, entry_offset)
    if len(counts) != len(offsets):
        return max(offsets, default=0)
    return max((offset + count for offset, count in zip(offsets, counts, strict=True)), default=0)


def _numbers(content: bytes, order: str, big: bool, offset: int) -> tuple[int, ...]:
    """The values of one entry: inside it when they fit, otherwise at its offset."""
    kind, count = struct.unpack_from(order + ("HQ" if big else "HI"), content, offset + 2)
    letter = _WIDTHS.get(kind, "I")
    inline, value = (8, offset + 12) if big else (4, offset + 8)
    if struct.calcsize(f"={letter}") * count > inline:
        value = struct.unpack_from(order + ("Q" if big else "I"), content, value)[0]
    if count > len(content):
        raise struct.error
    return struct.unpack_from(f"{order}{count}{letter}", content, value)


_KINDS: tuple[tuple[MediaType, Callable[[bytes], bool], Callable[[bytes], str | None]], ...] = (
    ("application/pdf", lambda content: b"%PDF-" in content[:_TAIL_BYTES], _fault_of_pdf),
    ("image/jpeg", lambda content: content.startswith(b"\xff\xd8\xff"), _fault_of_jpeg),
    ("image/png", lambda content: content.startswith(b"\x89PNG\r\n\x1a\n"), _fault_of_png),
)
