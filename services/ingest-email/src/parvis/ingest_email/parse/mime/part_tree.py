"""Splits a raw mail into its tree of MIME parts, leniently and within limits. Pure; no I/O.

The parser of the standard library fails at repeated and folded boundaries and takes more than linear time for nested parts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from parvis.ingest_email.models.parsed_mail import MAX_DEPTH, MAX_HEADERS_BYTES, MAX_PARTS
from parvis.ingest_email.parse.mime.headers import Headers, parse_headers
from parvis.ingest_email.parse.mime.parameters import MimeField, file_name, parse_field
from parvis.ingest_email.parse.mime.transfer_encodings import DecodedContent, decode_transfer

MESSAGES = frozenset({"message/rfc822", "message/global", "message/news"})
_UNDECLARED = re.compile(rb"^--(\S{1,200})[ \t]*\r?\nContent-[A-Za-z-]{1,40}[ \t]*:", re.MULTILINE | re.IGNORECASE)
_WINDOW_BYTES = 64 * 1024
_PART_HEADERS_BYTES = 32 * 1024
_MOST_CANDIDATES = 100_000  # lines that only begin like the delimiter
_BLANK = (0x20, 0x09, 0x0D, 0x0A)


@dataclass(frozen=True)
class PartSource:
    """The position of a part: `content[start:end]` is its encoded body; `head` is the offset of its header."""

    content: bytes
    head: int
    start: int
    end: int


@dataclass
class MimePart:
    """One MIME entity. A multipart without any delimiter has no children; its complete body is the preamble."""

    headers: Headers
    source: PartSource
    media_type: str
    content_type: MimeField
    children: list["MimePart"] = field(default_factory=list["MimePart"])
    preamble: bytes = b""
    epilogue: bytes = b""

    @cached_property
    def disposition(self) -> MimeField:
        return parse_field(self.headers.raw("content-disposition"))

    @property
    def encoded(self) -> bytes:
        return self.source.content[self.source.start : self.source.end]

    @cached_property
    def decoded(self) -> DecodedContent:
        return decode_transfer(self.encoded, parse_field(self.headers.raw("content-transfer-encoding")).word)

    @property
    def raw(self) -> bytes:
        """The part as sent, header included."""
        return self.source.content[self.source.head : self.source.end]

    @property
    def name(self) -> str:
        return file_name(self.disposition, self.content_type)

    @property
    def is_multipart(self) -> bool:
        return self.media_type.startswith("multipart/")

    @property
    def is_message(self) -> bool:
        return self.media_type in MESSAGES

    def leaves(self) -> Iterator["MimePart"]:
        """Yield the parts without children in order, including those of attached messages."""
        if self.children:
            for child in self.children:
                yield from child.leaves()
        elif not self.is_multipart:
            yield self


@dataclass
class _PartLimits:
    parts: int = 0
    exceeded: str = ""


@dataclass(frozen=True)
class PartTree:
    """The root part; `trouble` names the limit that stopped the parser, empty if none did."""

    root: MimePart
    trouble: str = ""


def parse_part_tree(content: bytes) -> PartTree:
    """Parse a mail into its parts. Never raises; takes linear time for each of at most MAX_DEPTH levels."""
    limits = _PartLimits()
    lead = 0
    while lead < len(content) and content[lead] in (0x0D, 0x0A):
        lead += 1
    root = _parse_entity(content, lead, len(content), limits, 0, "text/plain")
    return PartTree(root, limits.exceeded)


def _parse_entity(content: bytes, head: int, end: int, limits: _PartLimits, depth: int, default: str) -> MimePart:
    limits.parts += 1
    headers, start = _split_head(content, head, end)
    content_type = parse_field(headers.raw("content-type"))
    part = MimePart(
        headers, PartSource(content, head, start, end), _media_type(content_type.word, default), content_type
    )
    if depth >= MAX_DEPTH:
        limits.exceeded = limits.exceeded or f"nested deeper than {MAX_DEPTH}"
    elif part.is_multipart:
        _split_multipart(part, limits, depth)
    elif part.is_message:
        _parse_message(part, limits, depth)
    return part


def _media_type(word: str, default: str) -> str:
    main, slash, sub = word.partition("/")
    if slash and main and sub:
        return f"{main.strip()}/{sub.strip().partition(' ')[0]}"
    return default if not word else "text/plain"


def _split_head(content: bytes, head: int, end: int) -> tuple[Headers, int]:
    """Return the header and the offset of the body. Without any header field, everything is body."""
    for ending in (b"\r\n", b"\n", b"\r"):
        if content.startswith(ending, head, end):
            return Headers(()), head + len(ending)
    gap, start = _find_empty_line(content, head, end)
    longest = MAX_HEADERS_BYTES if head < _WINDOW_BYTES else _PART_HEADERS_BYTES
    headers = parse_headers(content[head : min(gap, head + longest)])
    return (headers, start) if headers.fields else (headers, head)


def _find_empty_line(content: bytes, head: int, end: int) -> tuple[int, int]:
    """Return the offset of the first empty line and the offset of the line after it."""
    for window in (min(end, head + _WINDOW_BYTES), end):
        lf = content.find(b"\n\n", head, window)
        crlf = content.find(b"\n\r\n", head, window if lf < 0 else lf)
        if crlf >= 0:
            return crlf, crlf + 3
        if lf >= 0:
            return lf, lf + 2
    if content.find(b"\n", head, end) < 0 and (cr := content.find(b"\r\r", head, end)) >= 0:
        return cr, cr + 2
    return end, end


def _parse_message(part: MimePart, limits: _PartLimits, depth: int) -> None:
    """Parse an attached message, also a base64 or quoted-printable one, which RFC 2046 forbids but programs send."""
    source = part.source
    if parse_field(part.headers.raw("content-transfer-encoding")).word in ("base64", "quoted-printable"):
        content = part.decoded.content
        part.children.append(_parse_entity(content, 0, len(content), limits, depth + 1, "text/plain"))
    elif source.start < source.end:
        part.children.append(_parse_entity(source.content, source.start, source.end, limits, depth + 1, "text/plain"))


def _split_multipart(part: MimePart, limits: _PartLimits, depth: int) -> None:
    source = part.source
    default = "message/rfc822" if part.media_type == "multipart/digest" else "text/plain"
    marks = _find_delimiters(part, limits)
    if not (marks or part.content_type.get("boundary")):
        part.media_type = "text/plain"  # no boundary, no parts (RFC 2046 §5.1.1)
        return
    first = marks[0][0] if marks else source.end
    part.preamble = source.content[source.start : first]
    for number, (_, start, is_last) in enumerate(marks):
        if is_last:
            part.epilogue = source.content[start : source.end]
            return
        end = marks[number + 1][0] if number + 1 < len(marks) else source.end
        if limits.parts >= MAX_PARTS:
            limits.exceeded = limits.exceeded or f"over {MAX_PARTS} parts"
            return
        part.children.append(_parse_entity(source.content, min(start, end), end, limits, depth + 1, default))


def _find_delimiters(part: MimePart, limits: _PartLimits) -> list[tuple[int, int, bool]]:
    """Return for each delimiter line: the offset of the line end before it, the offset after it, whether it is the closing one."""
    boundary = part.content_type.get("boundary").encode("utf-8", "replace")
    for candidate in dict.fromkeys((boundary, boundary.strip())):
        if candidate.strip() and (
            delimiters := _delimiter_lines(part.source, b"--" + candidate, MAX_PARTS + 1 - limits.parts)
        ):
            return delimiters
    # The boundary is missing or wrong: accept a line of dashes that a Content- field follows.
    guessed = _UNDECLARED.search(part.source.content, part.source.start, part.source.end)
    return _delimiter_lines(part.source, b"--" + guessed[1], MAX_PARTS + 1 - limits.parts) if guessed else []


def _delimiter_lines(source: PartSource, delimiter: bytes, most: int) -> list[tuple[int, int, bool]]:
    content, end = source.content, source.end
    delimiters: list[tuple[int, int, bool]] = []
    at = (
        source.start
        if content.startswith(delimiter, source.start, end)
        else _next_delimiter(content, delimiter, source.start, end)
    )
    candidates = 0
    while at >= 0 and len(delimiters) <= max(most, 0) and candidates < _MOST_CANDIDATES:
        candidates += 1
        after = at + len(delimiter)
        is_last = content.startswith(b"--", after, end)
        if is_last or after >= end or content[after] in _BLANK:
            line_end = content.find(b"\n", after, end)
            delimiters.append(
                (_before_line_end(content, at, source.start), end if line_end < 0 else line_end + 1, is_last)
            )
            if is_last:
                break
        at = _next_delimiter(content, delimiter, after, end)
    return delimiters


def _next_delimiter(content: bytes, delimiter: bytes, start: int, end: int) -> int:
    """Return the offset of the next line that begins with the delimiter; -1 if there is none."""
    line_end = content.find(b"\n" + delimiter, max(0, start - 1), end)
    return line_end + 1 if line_end >= 0 else -1


def _before_line_end(content: bytes, at: int, least: int) -> int:
    """Return the offset before the line end, which belongs to the delimiter (RFC 2046 §5.1.1)."""
    if at > least and content[at - 1] == 0x0A:
        at -= 1
        if at > least and content[at - 1] == 0x0D:
            at -= 1
    return at
