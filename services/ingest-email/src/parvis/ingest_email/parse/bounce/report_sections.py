"""Splits a report into a flat list of parts, line by line, because the MIME of reports is often broken. Pure; no I/O."""

import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from parvis.ingest_email.parse.mime.charsets import clean_text, decode_text
from parvis.ingest_email.parse.mime.headers import Headers, parse_headers
from parvis.ingest_email.parse.mime.html_text import html_to_text

READ_BYTES = 1024 * 1024
_MOST_SECTIONS = 60
_CONTENT = re.compile(rb"content-[a-z-]{1,40}[ \t]*:", re.IGNORECASE)
_FIELD = re.compile(rb"[!-9;-~]{1,80}[ \t]*:")
_MEDIA_TYPE = re.compile(r"\s*([a-z]{1,20}/[a-z0-9.+_-]{1,60})", re.IGNORECASE)
_BOUNDARY = re.compile(r"""boundary[ \t]*=[ \t]*(?:"([^"]{1,200})"|([^\s;"]{1,200}))""", re.IGNORECASE)
_CHARSET = re.compile(r"""charset[ \t]*=[ \t]*["']?([^\s;"']{1,60})""", re.IGNORECASE)
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_LONGEST_BOUNDARY = 200


@dataclass(frozen=True)
class ReportSection:
    """One part; `is_returned` if it belongs to the returned mail and not to the report."""

    media_type: str
    text: str
    is_returned: bool = False


def parse_sections(content: bytes) -> list[ReportSection]:
    """The parts of the first megabyte, in their order, decoded. Cannot raise; linear."""
    whole = content[:READ_BYTES].replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip(b"\n")
    head, _, body = whole.partition(b"\n\n")
    sections: list[ReportSection] = []
    inner: set[bytes] = set()
    for fields, part, delimiter in _split_parts(parse_headers(head + b"\n\n"), body):
        declared = fields.raw("content-type")
        media_type = _media_type(declared)
        if media_type.startswith("multipart/") and not delimiter and not sections and len(part) == len(body):
            media_type = "text/plain"  # no part of it can be found
        returned = delimiter in inner
        text = _decode_text(fields, part, media_type) if media_type.startswith(("text/", "message/")) else ""
        if media_type.startswith(("message/rfc822", "message/global", "message/partial")) or returned:
            inner |= {named.encode("utf-8", "replace") for named in _find_boundaries(declared + text[: 64 * 1024])}
            returned = True
        sections.append(ReportSection(media_type, text, returned))
    return sections


def _split_parts(head: Headers, body: bytes) -> Iterator[tuple[Headers, bytes, bytes]]:
    """Header, undecoded body and delimiter of each part; a delimiter is one that was declared, or that looks like one."""
    declared = {name.encode("utf-8", "replace") for name in _find_boundaries(head.raw("content-type"))}
    rows = body.split(b"\n")
    fields, delimiter, begins, count = head, b"", 0, 0
    for number, row in enumerate(rows):
        if not row.startswith(b"--") or len(row) > _LONGEST_BOUNDARY + 4 or count >= _MOST_SECTIONS:
            continue
        name = _match_delimiter(row, rows[number + 1 : number + 2], declared)
        if name is None:
            continue
        yield fields, b"\n".join(rows[begins:number]), delimiter
        count += 1
        fields, begins = _part_headers(rows, number + 1)
        declared |= {
            boundary.encode("utf-8", "replace") for boundary in _find_boundaries(fields.raw("content-type"))
        } | {name}
        delimiter = name
    yield fields, b"\n".join(rows[begins:]), delimiter


def _match_delimiter(row: bytes, after: Sequence[bytes], declared: set[bytes]) -> bytes | None:
    name = row[2:].rstrip()
    if name in declared:
        return name
    if name.endswith(b"--") and name[:-2] in declared:
        return name[:-2]
    return name if name and b" " not in name and after and _CONTENT.match(after[0]) else None


def _part_headers(rows: Sequence[bytes], begins: int) -> tuple[Headers, int]:
    """The fields of a part and the row after them; a part may have none, or forget the empty line."""
    if begins >= len(rows) or not (_FIELD.match(rows[begins]) or not rows[begins].strip()):
        return Headers(()), begins
    for number in range(begins, min(begins + 60, len(rows))):
        if not rows[number].strip():
            return parse_headers(b"\n".join(rows[begins:number]) + b"\n\n"), number + 1
    return Headers(()), begins


def _find_boundaries(text: str) -> list[str]:
    return [match[1] or match[2] for match in _BOUNDARY.finditer(text)][:20]


def _media_type(declared: str) -> str:
    match = _MEDIA_TYPE.match(declared)
    return match[1].lower() if match else "text/plain"


def _decode_text(fields: Headers, part: bytes, media_type: str) -> str:
    content = _decode_transfer(part, fields.raw("content-transfer-encoding").strip().lower())
    charset = _CHARSET.search(fields.raw("content-type"))
    text = decode_text(content, charset[1] if charset else "utf-8")
    return clean_text(html_to_text(text) if media_type == "text/html" else text)


def _decode_transfer(part: bytes, encoding: str) -> bytes:
    if encoding == "quoted-printable":
        return binascii.a2b_qp(part)
    if encoding != "base64":
        return part
    digits = _NOT_BASE64.sub(b"", part)
    digits = digits[:-1] if len(digits) % 4 == 1 else digits
    try:
        return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))
    except binascii.Error:
        return part
