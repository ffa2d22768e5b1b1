"""Unpacks the text and files of Outlook's winmail.dat ([MS-OXTNEF]). Pure; no I/O."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from parvis.ingest_email.models.parsed_mail import MAX_ATTACHMENTS
from parvis.ingest_email.parse.mime.charsets import decode_text
from parvis.ingest_email.parse.mime.rtf import decompress_rtf, rtf_to_text

_SIGNATURE = b"\x78\x9f\x3e\x22"
_BODY, _CODEPAGE, _MESSAGE_PROPERTIES = 0x0002800C, 0x00069007, 0x00069003
_NEW_FILE, _TITLE, _CONTENT, _FILE_PROPERTIES = 0x00069002, 0x00018010, 0x0006800F, 0x00069005
_TEXT, _HTML, _RTF = 0x1000, 0x1013, 0x1009
_FILE_DATA, _SHORT_NAME, _LONG_NAME, _MIME_TAG = 0x3701, 0x3704, 0x3707, 0x370E
_WIDTHS = {0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8, 0x48: 16}
_COUNTED = frozenset({0x0D, 0x1E, 0x1F, 0x102})
_MOST = 10_000
_OBJECT_ID_BYTES = 16  # an embedded object begins with the id of its interface


@dataclass
class TnefFile:
    """A file in a winmail.dat."""

    name: str = ""
    media_type: str = "application/octet-stream"
    content: bytes = b""


@dataclass
class TnefContent:
    """The contents of a winmail.dat. `body` is UTF-8 text, or HTML if `is_html`."""

    files: list[TnefFile] = field(default_factory=list[TnefFile])
    body: bytes = b""
    is_html: bool = False
    trouble: str = ""


class _TnefTruncated(Exception):
    """The content is shorter than a length field declares."""


def is_tnef(content: bytes) -> bool:
    return content.startswith(_SIGNATURE)


def parse_tnef(content: bytes) -> TnefContent:
    """Parse a winmail.dat up to the first malformed attribute. Never raises; linear."""
    tnef = TnefContent()
    bodies: dict[int, bytes] = {}
    codepage = "cp1252"
    file: TnefFile | None = None
    try:
        for name, value in _parse_attributes(content):
            if name == _NEW_FILE and len(tnef.files) < MAX_ATTACHMENTS:
                file = TnefFile()
                tnef.files.append(file)
            elif name == _CODEPAGE and len(value) >= 4:
                codepage = f"cp{struct.unpack_from('<I', value)[0]}"
            elif name == _BODY:
                bodies[_TEXT] = decode_text(value.rstrip(b"\x00"), codepage).encode()
            elif name == _MESSAGE_PROPERTIES:
                bodies |= _find_bodies(value, codepage)
            elif file:
                _set_file_attribute(file, name, value, codepage)
    except _TnefTruncated:
        tnef.trouble = "winmail.dat is cut short"
    _choose_body(tnef, bodies)
    return tnef


def _parse_attributes(content: bytes) -> Iterator[tuple[int, bytes]]:
    at = 6
    while at + 9 <= len(content) and content[at] in (1, 2):  # bytes after the last attribute are ignored
        name, length = struct.unpack_from("<II", content, at + 1)
        if at + 9 + length > len(content):
            raise _TnefTruncated
        yield name, content[at + 9 : at + 9 + length]
        at += 9 + length + 2


def _set_file_attribute(file: TnefFile, name: int, value: bytes, codepage: str) -> None:
    if name == _TITLE:
        file.name = file.name or _decode_codepage(value, codepage)
    elif name == _CONTENT:
        file.content = value
    elif name == _FILE_PROPERTIES:
        for kind, name_id, content in _parse_properties(value):
            if name_id == _LONG_NAME:
                file.name = _decode_string(kind, content, codepage)
            elif name_id == _SHORT_NAME:
                file.name = file.name or _decode_string(kind, content, codepage)
            elif name_id == _MIME_TAG:
                file.media_type = _decode_string(kind, content, codepage).lower()
            elif name_id == _FILE_DATA:
                file.content = content[_OBJECT_ID_BYTES:] if kind == 0x0D else content


def _find_bodies(value: bytes, codepage: str) -> dict[int, bytes]:
    bodies: dict[int, bytes] = {}
    for kind, name, content in _parse_properties(value):
        if name in (_TEXT, _HTML) and kind in (0x1E, 0x1F):
            bodies[name] = _decode_string(kind, content, codepage).encode("utf-8", "replace")
        elif name in (_HTML, _RTF):
            bodies[name] = content
    return bodies


def _choose_body(tnef: TnefContent, bodies: dict[int, bytes]) -> None:
    if bodies.get(_TEXT, b"").strip():
        tnef.body = bodies[_TEXT]
    elif bodies.get(_HTML, b"").strip():
        tnef.body, tnef.is_html = bodies[_HTML], True
    elif bodies.get(_RTF):
        rtf = decompress_rtf(bodies[_RTF])
        if rtf is None:
            tnef.trouble = tnef.trouble or "the text in winmail.dat is damaged"
            return
        converted = rtf_to_text(rtf)
        tnef.body, tnef.is_html = converted.text.encode("utf-8", "replace"), converted.is_html


def _parse_properties(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield `(type, id, value)` of each property; of a multi-value property only the first value."""
    (count,) = _unpack("<I", content, 0)
    at = 4
    for _ in range(min(count, _MOST)):
        kind, name = _unpack("<HH", content, at)
        at = at + 4 if name < 0x8000 else _skip_property_name(content, at + 4)
        is_many, kind = bool(kind & 0x1000), kind & 0x0FFF
        width = _WIDTHS.get(kind)
        if width is None and kind not in _COUNTED:
            raise _TnefTruncated
        values = 1
        if is_many or width is None:
            (values,) = _unpack("<I", content, at)
            at += 4
        first = b""
        for number in range(min(values, _MOST)):
            value, at = _parse_value(content, at, width)
            first = value if number == 0 else first
        yield kind, name, first


def _parse_value(content: bytes, at: int, width: int | None) -> tuple[bytes, int]:
    if width is None:
        (width,) = _unpack("<I", content, at)
        at += 4
    if at + width > len(content):
        raise _TnefTruncated
    return content[at : at + width], at + width + -width % 4


def _skip_property_name(content: bytes, at: int) -> int:
    """Return the offset after the GUID and the number or name of a named property."""
    (is_text,) = _unpack("<I", content, at + 16)
    if not is_text:
        return at + 24
    (length,) = _unpack("<I", content, at + 20)
    return at + 24 + length + -length % 4


def _unpack(shape: str, content: bytes, at: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(shape, content, at)
    except struct.error as error:
        raise _TnefTruncated from error


def _decode_string(kind: int, content: bytes, codepage: str) -> str:
    return (
        content.decode("utf-16-le", "replace").split("\x00")[0] if kind == 0x1F else _decode_codepage(content, codepage)
    )


def _decode_codepage(content: bytes, codepage: str) -> str:
    return decode_text(content.split(b"\x00")[0], codepage)
