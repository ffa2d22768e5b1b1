"""Screens archives for bombs, nesting, encryption and escaping names; extracts nothing. Pure; no I/O."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from parvis.common.files import zip_directory
from parvis.common.files.media_types import is_archive, is_document, media_type_of

# OWASP ASVS 5.0, 5.2.3 and 5.2.4.
MAX_ENTRIES = 1000
MAX_UNPACKED_BYTES = 200 * 1024 * 1024
MAX_COMPRESSION_RATIO = 100
MAX_NESTED_ARCHIVES = 2
_HARMLESS_BYTES = 1024 * 1024  # what is as small as that when unpacked may have any ratio
_MAX_DEPTH = 4  # office documents are archives too, and are put into each other
_MAX_INNER_BYTES = 16 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_STORED, _DEFLATED = 0, 8


class _Unsafe(Exception):
    """Why, in words for people."""


@dataclass
class _UnpackBudget:
    """The budget that an archive and all archives inside it share."""

    entries: int = MAX_ENTRIES
    unpacked_bytes: int = MAX_UNPACKED_BYTES

    def take_entry(self) -> None:
        self.entries -= 1
        if self.entries < 0:
            raise _Unsafe(f"archive of more than {MAX_ENTRIES} files")

    def take(self, size_bytes: int) -> None:
        self.unpacked_bytes -= size_bytes
        if self.unpacked_bytes < 0:
            raise _Unsafe(f"archive of more than {MAX_UNPACKED_BYTES // 1024**2} MB unpacked")


def screen_archive(content: bytes, media_type: str) -> str | None:
    """Say why an archive should not be opened; None for a good one, and for what is none.

    Gives: zips (office documents too) and gzips are unpacked, nothing is kept; the other kinds are named as not looked into.
    """
    if not is_archive(media_type):
        return None
    try:
        _screen(content, media_type, _UnpackBudget(), archives=1, depth=1)
    except _Unsafe as refused:
        return str(refused)
    except (zip_directory.DamagedZip, zlib.error):
        return "damaged archive"
    return None


def _screen(content: bytes, media_type: str, budget: _UnpackBudget, *, archives: int, depth: int) -> None:
    if archives > MAX_NESTED_ARCHIVES or depth > _MAX_DEPTH:
        raise _Unsafe("archives inside archives inside archives")
    if media_type == "application/gzip":
        budget.take_entry()
        _screen_member(_inflate(content, 31, len(content), budget), budget, archives, depth)
    elif media_type in ("application/zip", "application/epub+zip") or is_document(media_type):
        _screen_zip(content, budget, archives, depth)
    else:
        raise _Unsafe("archive of a kind that is not looked into")


def _screen_zip(content: bytes, budget: _UnpackBudget, archives: int, depth: int) -> None:
    listed: list[zip_directory.ZipEntry] = []
    for entry in zip_directory.read_zip_entries(content):
        budget.take_entry()
        _check_entry(entry)
        listed.append(entry)
    if sum(entry.size_bytes for entry in listed) > budget.unpacked_bytes:
        budget.take(MAX_UNPACKED_BYTES + 1)
    for entry, room in _member_bytes(content, listed):
        _screen_member(_unpack(room, entry, budget), budget, archives, depth)


def _member_bytes(
    content: bytes, listed: list[zip_directory.ZipEntry]
) -> list[tuple[zip_directory.ZipEntry, memoryview]]:
    """Find each member's own bytes, in the order in which they lie."""
    members: list[tuple[zip_directory.ZipEntry, memoryview]] = []
    last = 0
    for entry in sorted(listed, key=lambda entry: entry.header_offset):
        room, end = zip_directory.compressed_bytes(content, entry)
        if entry.header_offset < last:
            raise _Unsafe("archive whose files overlap")
        last = end
        members.append((entry, room))
    return members


def _check_entry(entry: zip_directory.ZipEntry) -> None:
    """Check what the directory alone shows."""
    if entry.is_encrypted:
        raise _Unsafe("encrypted archive")
    parts = entry.name.replace("\\", "/").split("/")
    if ".." in parts or (parts[0] == "" and entry.name) or parts[0][1:2] == ":" or "\0" in entry.name or entry.is_link:
        raise _Unsafe("archive with a file name that leads elsewhere")
    if entry.size_bytes > max(_HARMLESS_BYTES, MAX_COMPRESSION_RATIO * entry.packed_bytes):
        raise _Unsafe(f"archive that unpacks to more than {MAX_COMPRESSION_RATIO} times its size")
    if entry.method not in (_STORED, _DEFLATED):
        raise _Unsafe("archive packed in a way that is not looked into")


def _unpack(room: memoryview, entry: zip_directory.ZipEntry, budget: _UnpackBudget) -> Iterator[memoryview | bytes]:
    if entry.method == _DEFLATED:
        yield from _inflate(room, -15, len(room), budget)
    else:
        budget.take(len(room))
        yield room


def _inflate(
    packed: memoryview | bytes, window: int, packed_bytes: int, budget: _UnpackBudget
) -> Iterator[memoryview | bytes]:
    """Inflate chunk by chunk: the sizes in the directory are not trusted."""
    unpacker, most = zlib.decompressobj(window), max(_HARMLESS_BYTES, MAX_COMPRESSION_RATIO * packed_bytes)
    unpacked_bytes, unread = 0, memoryview(packed)
    while not unpacker.eof and (unread or unpacker.unconsumed_tail):
        piece = unpacker.unconsumed_tail or unread[:_CHUNK_BYTES]
        unread = unread if unpacker.unconsumed_tail else unread[_CHUNK_BYTES:]
        chunk = unpacker.decompress(piece, _CHUNK_BYTES)
        unpacked_bytes += len(chunk)
        budget.take(len(chunk))
        if unpacked_bytes > most:
            raise _Unsafe(f"archive that unpacks to more than {MAX_COMPRESSION_RATIO} times its size")
        yield chunk


def _screen_member(chunks: Iterator[memoryview | bytes], budget: _UnpackBudget, archives: int, depth: int) -> None:
    """Unpack one member; when it is an archive itself, screen that too."""
    first = bytes(next(chunks, b""))
    media_type = media_type_of(first)
    if not is_archive(media_type):
        for _ in chunks:
            pass
        return
    inner = bytearray(first)
    for chunk in chunks:
        inner += chunk
        if len(inner) > _MAX_INNER_BYTES:
            raise _Unsafe("archive inside an archive, too large to look into")
    whole = media_type_of(bytes(inner))
    _screen(bytes(inner), whole, budget, archives=archives + (not is_document(whole)), depth=depth + 1)
