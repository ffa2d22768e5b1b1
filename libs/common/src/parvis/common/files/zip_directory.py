"""Reads the central directory of a zip entry by entry; the standard library would hold a million in memory first."""

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

# APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.12 (entry), 4.3.14 to 4.3.16 (ends).
_LOCAL = struct.Struct("<4s2xH18xHH")
_ENTRY = struct.Struct("<4sxBxxHH8xIIHHH4xII")
_END = struct.Struct("<4s8xIIH")
_LOCATOR64 = struct.Struct("<4s4xQ4x")
_END64 = struct.Struct("<4s36xQQ")
_NOT_HERE = 0xFFFFFFFF  # the number stands in the extra field
_LONGEST_COMMENT = 65535
_UNIX, _AES = 3, 99


class DamagedZip(Exception):
    """It is not what a zip looks like."""


@dataclass(frozen=True)
class ZipEntry:
    """One file in a zip, as the list at its end says."""

    raw_name: bytes
    flags: int
    method: int
    packed_bytes: int
    size_bytes: int
    header_offset: int  # of its local header
    unix_mode: int = 0

    @property
    def name(self) -> str:
        return self.raw_name.decode("utf-8" if self.flags & 0x800 else "cp437", "replace")

    @property
    def is_encrypted(self) -> bool:
        return bool(self.flags & 1) or self.method == _AES

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.unix_mode)


def read_zip_entries(content: bytes) -> Iterator[ZipEntry]:
    """The entries of a zip's list, one by one, in its order.

    Raises: Damaged, as soon as something does not fit.
    """
    try:
        yield from _entries(content)
    except (struct.error, OverflowError) as error:
        raise DamagedZip from error


def compressed_bytes(content: bytes, entry: ZipEntry) -> tuple[memoryview, int]:
    """An entry's bytes as they stand in the file, and where they end.

    Raises: Damaged, when the file does not hold them, or calls them by another name.
    """
    try:
        mark, _, name_bytes, extra_bytes = _LOCAL.unpack_from(content, entry.header_offset)
    except struct.error as error:
        raise DamagedZip from error
    name_at = entry.header_offset + _LOCAL.size
    start = name_at + name_bytes + extra_bytes
    end = start + entry.packed_bytes
    if mark != b"PK\x03\x04" or end > len(content) or content[name_at : name_at + name_bytes] != entry.raw_name:
        raise DamagedZip
    return memoryview(content)[start:end], end


def _entries(content: bytes) -> Iterator[ZipEntry]:
    header_offset, end, shift = _locate_directory(content)
    while header_offset < end:
        mark, system, flags, method, small, size, names, extras, comments, attributes, local = _ENTRY.unpack_from(
            content, header_offset
        )
        if mark != b"PK\x01\x02":
            raise DamagedZip
        name_at = header_offset + _ENTRY.size
        extra = content[name_at + names : name_at + names + extras]
        size, small, local = zip64_numbers(extra, size, small, local)
        mode = attributes >> 16 if system == _UNIX else 0
        yield ZipEntry(content[name_at : name_at + names], flags, method, small, size, local + shift, mode)
        header_offset = name_at + names + extras + comments


def _locate_directory(content: bytes) -> tuple[int, int, int]:
    """Where the list begins and ends, and how many bytes stand before the zip, as in one that unpacks itself."""
    at = content.rfind(b"PK\x05\x06", max(0, len(content) - _LONGEST_COMMENT - _END.size))
    if at < 0:
        raise DamagedZip
    _, size, offset, _ = _END.unpack_from(content, at)
    end = at
    if at >= _LOCATOR64.size and content.startswith(b"PK\x06\x07", at - _LOCATOR64.size):
        end = content.rfind(b"PK\x06\x06", 0, at)
        mark, size, offset = _END64.unpack_from(content, max(end, 0))
        if mark != b"PK\x06\x06":
            raise DamagedZip
    start = end - size
    if start < 0 or offset > start:
        raise DamagedZip
    return start, end, start - offset


def zip64_numbers(extra: bytes, *numbers: int) -> list[int]:
    """The numbers that were too large for their fields, from the extra field of ZIP64 (4.5.3)."""
    wide = _field(extra, 1) if _NOT_HERE in numbers else b""
    found: list[int] = []
    for number in numbers:
        if number != _NOT_HERE:
            found.append(number)
            continue
        found.append(struct.unpack_from("<Q", wide)[0])
        wide = wide[8:]
    return found


def _field(extra: bytes, field_id: int) -> bytes:
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        if kind == field_id:
            return extra[4 : 4 + length]
        extra = extra[4 + length :]
    return b""
