"""Parses a submitted form within size limits: text in memory, files on disk until the form is closed."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser

from parvis.web.text_cleaning import clean_text, clean_texts, decode_texts, in_turn

_READ_TIMEOUT_S = 300.0  # enough for ten megabytes over a slow line
_MAX_TEXT_BYTES = (
    2 * 1024 * 1024
)  # all fields together: twenty of the longest answers and the tokens of files already uploaded
_MAX_FIELDS = 300
_MAX_SEPARATORS = 1000
_PIECE_BYTES = 16 * 1024
_HEAD_OR_TAIL_BYTES = 64 * 1024
# Files of all forms in progress in this process; /tmp of the shipped containers has 256 MB.
_MAX_SPOOLED_BYTES = 192 * 1024 * 1024
# A form over its limit is still read to its end, without its files, so that the page can come back with what was typed. Beyond this
# multiple of the limit it is refused.
_DRAIN_FACTOR = 4


@dataclass(frozen=True)
class Upload:
    """One uploaded file. `is_whole` is False if it was larger than allowed: then only its size is known."""

    name: str
    size_bytes: int
    file: UploadFile
    is_whole: bool

    async def head_and_tail(self) -> bytes:
        """The first and last 64 KiB, to recognise the type of the file."""
        await self.file.seek(0)
        head = await self.file.read(_HEAD_OR_TAIL_BYTES) if self.is_whole else b""
        if self.size_bytes <= _HEAD_OR_TAIL_BYTES or not self.is_whole:
            return head
        await self.file.seek(max(_HEAD_OR_TAIL_BYTES, self.size_bytes - _HEAD_OR_TAIL_BYTES))
        return head + await self.file.read(_HEAD_OR_TAIL_BYTES)

    async def sha256(self) -> str:
        digest = hashlib.sha256()
        await self.file.seek(0)
        while self.is_whole and (part := await self.file.read(1024 * 1024)):
            digest.update(part)
        return digest.hexdigest()

    async def content(self) -> bytes:
        """The whole file in memory. Read one at a time, and not for many forms at once."""
        await self.file.seek(0)
        return await self.file.read() if self.is_whole else b""


@dataclass(frozen=True)
class SubmittedForm:
    """The content of a form. `typed` is the text exactly as typed, with line feeds as line ends; `fields` is the same text through
    `clean_text`. Close the form when its files are no longer needed."""

    fields: dict[str, list[str]]
    typed: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    files: dict[str, list[Upload]] = field(default_factory=dict[str, list[Upload]])
    is_too_heavy: bool = False
    has_no_room: bool = False  # its files did not fit beside those of other forms, or the disk is full
    spooled_bytes: int = 0

    def first(self, name: str) -> str:
        return self.fields.get(name, [""])[0]

    async def close(self) -> None:
        _spool.release(self.spooled_bytes)
        for uploads in self.files.values():
            for upload in uploads:
                with suppress(OSError):  # a full disk
                    await upload.file.close()


class SpoolBudget:
    """Counts the bytes that the files of all forms in progress hold."""

    def __init__(self) -> None:
        self.bytes = 0

    def reserve(self, size_bytes: int) -> bool:
        if self.bytes + size_bytes > _MAX_SPOOLED_BYTES:
            return False
        self.bytes += size_bytes
        return True

    def release(self, size_bytes: int) -> None:
        self.bytes -= size_bytes


_spool = SpoolBudget()


async def read_form(
    request: Request, *, largest_bytes: int, largest_file_bytes: int = 0, most_files: int = 0
) -> SubmittedForm:
    """Reads a form of bounded size, urlencoded or multipart.

    Gives:  for a form over `largest_bytes`, its text without its files, and `is_too_heavy`; the same with `has_no_room` when
            the files of all forms together are too many, or the disk is full.
    Raises: HTTPException 413 for text over 2 MB or a body far over the limit; 400 if it is not a form, has too many parts or takes
            too long.
    """
    declared = request.headers.get("content-length", "0")
    is_multipart = request.headers.get("content-type", "").startswith("multipart/form-data")
    # Percent-encoding triples a text; a urlencoded form has no files.
    max_bytes = (
        largest_bytes * _DRAIN_FACTOR if is_multipart and most_files else min(largest_bytes, 3 * _MAX_TEXT_BYTES)
    )
    if declared.isdigit() and int(declared) > max_bytes:
        raise HTTPException(413)
    stream = _limit_stream(request, max_bytes, _boundary(request) if is_multipart else b"&")
    try:
        async with asyncio.timeout(_READ_TIMEOUT_S):
            if is_multipart:
                return await _read_multipart(request, stream, largest_bytes, largest_file_bytes, most_files)
            return await _read_urlencoded(request, stream)
    except (TimeoutError, MultiPartException) as error:
        raise HTTPException(400) from error


def _boundary(request: Request) -> bytes:
    """What begins each part. Without a boundary the parser refuses the form."""
    _, parameters = parse_options_header(request.headers["content-type"])
    return b"\r\n--" + parameters.get(b"boundary", b"")


async def _read_multipart(
    request: Request, stream: AsyncGenerator[bytes], largest_bytes: int, largest_file_bytes: int, most_files: int
) -> SubmittedForm:
    parser = _BoundedMultiPartParser(
        request.headers, stream, max_files=most_files, max_fields=_MAX_FIELDS, max_part_size=_MAX_TEXT_BYTES
    )
    parser.largest_bytes, parser.largest_file_bytes = largest_bytes, largest_file_bytes
    try:
        parsed = await parser.parse()
    except BaseException:
        _spool.release(parser.spooled_bytes)
        raise
    texts = [(name, value) for name, value in parsed.multi_items() if not isinstance(value, UploadFile)]
    fields, typed = await in_turn(parser.text_bytes, clean_texts, texts)
    files: dict[str, list[Upload]] = {}
    is_too_heavy = parser.taken_bytes > largest_bytes
    for name, value in parsed.multi_items():
        if not isinstance(value, UploadFile):
            continue
        size_bytes = parser.sizes.get(id(value), 0)
        is_whole = size_bytes <= largest_file_bytes and not is_too_heavy and not parser.has_no_room
        upload = Upload(_decode_file_name(value.filename or "")[-200:], size_bytes, value, is_whole)
        if value.filename:
            files.setdefault(name, []).append(upload)
        else:
            await value.close()  # a file input left empty
    return SubmittedForm(fields, typed, files, is_too_heavy, parser.has_no_room, parser.spooled_bytes)


def _decode_file_name(sent: str) -> str:
    """The name of a file as it is on the sender's disk, in one line: browsers write quotation marks and line ends as percent signs and
    digits, and nothing else (HTML Standard, "multipart/form-data encoding algorithm")."""
    return clean_text(sent.replace("%22", '"').replace("%0D", " ").replace("%0A", " "))


async def _read_urlencoded(request: Request, stream: AsyncGenerator[bytes]) -> SubmittedForm:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return SubmittedForm({})
    parser = _BoundedFormParser(request.headers, stream, max_fields=_MAX_FIELDS, max_part_size=_MAX_TEXT_BYTES)
    await parser.parse()
    return SubmittedForm(*await in_turn(parser.text_bytes, decode_texts, parser.encoded))


class _BoundedFormParser(FormParser):
    """Starlette's parser with a limit for all text together, which leaves the decoding to its caller."""

    text_bytes = 0

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # pyright: ignore[reportArgumentType] (passed through)
        self.encoded: list[tuple[bytes, bytes]] = []

    def on_field_end(self) -> None:
        self.encoded.append((bytes(self._field_name), bytes(self._field_value)))
        if len(self.encoded) > self.max_fields:
            raise HTTPException(400)

    def on_field_data(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        super().on_field_data(data, start, end)

    def on_field_name(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        super().on_field_name(data, start, end)

    def _count(self, size_bytes: int) -> None:
        self.text_bytes += size_bytes
        if self.text_bytes > _MAX_TEXT_BYTES:
            raise HTTPException(413)


class _BoundedMultiPartParser(MultiPartParser):
    """Starlette's parser with a limit for all text together; a file over its limit is counted and not stored."""

    spool_max_size = 64 * 1024  # in memory; the rest of each file is on disk
    largest_bytes = 0
    largest_file_bytes = 0

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # pyright: ignore[reportArgumentType] (passed through)
        self.text_bytes = self.taken_bytes = self.spooled_bytes = 0
        self.has_no_room = False
        self.sizes: dict[int, int] = {}

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        file: Any = self._current_part.file
        if file is not None:
            file.write, file.seek = self._unless_disk_full(file.write), self._unless_disk_full(file.seek)

    def _unless_disk_full(self, act: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
        """A full disk ends the files of this form, and not its text."""

        async def try_act(argument: Any) -> None:
            try:
                await act(argument)
            except OSError:
                self.has_no_room = True

        return try_act

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        file = self._current_part.file
        self.taken_bytes += end - start
        if file is None:
            self.text_bytes += end - start
            if self.text_bytes > _MAX_TEXT_BYTES:
                raise HTTPException(413)
        else:
            size_bytes = self.sizes[id(file)] = self.sizes.get(id(file), 0) + end - start
            if size_bytes > self.largest_file_bytes or self.taken_bytes > self.largest_bytes or self.has_no_room:
                return
            if not _spool.reserve(end - start):
                self.has_no_room = True
                return
            self.spooled_bytes += end - start
        super().on_part_data(data, start, end)


async def _limit_stream(request: Request, max_bytes: int, separator: bytes) -> AsyncGenerator[bytes]:
    """The body in small pieces. Refuses what has more separators than any form before it is parsed: empty fields and boundaries that are
    none cost as much time as fields, and nothing else counts them."""
    size_bytes = 0
    separators = 0
    async for part in request.stream():
        size_bytes += len(part)
        separators += part.count(separator)
        if size_bytes > max_bytes:
            raise HTTPException(413)
        if separators > _MAX_SEPARATORS:
            raise HTTPException(400)
        for start in range(0, len(part), _PIECE_BYTES):
            yield part[start : start + _PIECE_BYTES]
            await asyncio.sleep(0)  # a form is parsed in turn with what else the loop does
