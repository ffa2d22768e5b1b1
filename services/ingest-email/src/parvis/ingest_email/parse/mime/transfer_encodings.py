"""Decodes base64, quoted-printable and uuencode, damaged or not. Pure; no I/O."""

import binascii
import re
from dataclasses import dataclass

_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]+")
_NOT_ALPHABET = re.compile(rb"[^A-Za-z0-9+/=\s\x00]")
_FEWEST_LINES = 3
_MOST_BLOCKS = 100
_MOST_TRIES = 50
_JUDGED_BYTES = 8 * 1024
_BEGIN = re.compile(rb"^begin(?:-base64)? [0-7]{3,4} (\S[^\r\n]{0,200})\r?\n", re.MULTILINE)
_END = re.compile(rb"^(?:end|====)[ \t]*(?:\r?\n|\r|\Z)", re.MULTILINE)


@dataclass(frozen=True)
class DecodedContent:
    """The bytes; whether the encoding was damaged, or was not the one declared: then they are as far as they go."""

    content: bytes
    is_damaged: bool = False


def decode_transfer(encoded: bytes, encoding: str) -> DecodedContent:
    """Undo a Content-Transfer-Encoding. Cannot raise; what no encoding explains stays as it is."""
    if encoding == "base64":
        return _decode_base64(encoded)
    if encoding == "quoted-printable":
        return DecodedContent(binascii.a2b_qp(encoded))
    if encoding in ("x-uuencode", "uuencode", "x-uue", "uue"):
        start = _BEGIN.search(encoded)
        return decode_uuencoded(encoded[start.end() :] if start else encoded)
    return DecodedContent(encoded)


def _decode_base64(encoded: bytes) -> DecodedContent:
    if _is_prose(encoded[:_JUDGED_BYTES].partition(b"=")[0].strip()):
        return DecodedContent(encoded, is_damaged=True)
    is_damaged = _NOT_ALPHABET.search(encoded) is not None
    if is_damaged and (saved := _decode_base64_lines(encoded)) is not None:
        return DecodedContent(saved, is_damaged)
    first, *others = re.split(rb"=+", encoded, maxsplit=_MOST_BLOCKS)
    # Blocks that were encoded one by one; a footer that a list added is none.
    more = [other for other in others if not (b" " in other.strip() or _NOT_ALPHABET.search(other))]
    return DecodedContent(b"".join(map(_decode_block, [first, *more])), is_damaged)


def _decode_base64_lines(encoded: bytes) -> bytes | None:
    """Where the lines are whole in themselves, a damaged one costs itself only."""
    lines = [b"".join(line.split()) for line in encoded.strip().splitlines()]
    good = [line for line in lines if len(line) % 4 == 0 and not _NOT_ALPHABET.search(line)]
    if len(lines) < _FEWEST_LINES or len(good) * 4 < len(lines) * 3:
        return None
    return b"".join(_decode_block(_NOT_ALPHABET.split(line, maxsplit=1)[0].rstrip(b"=")) for line in lines)


def _is_prose(sample: bytes) -> bool:
    """Words with spaces between them, or a page, that only say they are base64."""
    spaces = len(re.findall(rb"[^\s] +[^\s]", sample))
    strange = len(_NOT_ALPHABET.findall(sample))
    return spaces * 20 > len(sample) or strange * 10 > len(sample)


def _decode_block(block: bytes) -> bytes:
    digits = _BASE64.sub(b"", block)
    if len(digits) % 4 == 1:  # six bits over: no byte
        digits = digits[:-1]
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


def decode_uuencoded(lines: bytes) -> DecodedContent:
    """The lines after `begin`, up to `end`."""
    done: list[bytes] = []
    is_damaged = False
    for line in lines.splitlines():
        if line.strip() == b"end":
            return DecodedContent(b"".join(done), is_damaged)
        if not line.strip(b" `\r\n"):
            continue
        try:
            done.append(binascii.a2b_uu(line))
        except binascii.Error:
            length = (((line[0] - 32) & 63) * 4 + 5) // 3
            try:
                done.append(binascii.a2b_uu(line[:length]))
            except binascii.Error:
                is_damaged = True
    return DecodedContent(b"".join(done), is_damaged=True)


@dataclass(frozen=True)
class UuencodedFile:
    """A file that stands in a text: its name and bytes, and where it stood."""

    name: bytes
    content: bytes
    start: int
    end: int


def find_uuencoded_files(text: bytes, most: int) -> list[UuencodedFile]:
    """The files that were uuencoded into a text; `begin` without such lines is prose."""
    files: list[UuencodedFile] = []
    at = tries = 0
    end: re.Match[bytes] | None = None
    while len(files) < most and tries < _MOST_TRIES and (start := _BEGIN.search(text, at)):
        if end is None or end.start() < start.end():
            end = _END.search(text, start.end())
        if end is None:
            break
        body = text[start.end() : end.start()]
        if start[0].startswith(b"begin-base64"):
            made = _decode_base64(body)
        elif _looks_uuencoded(body):
            made = decode_uuencoded(body)
        else:
            at, tries = start.end(), tries + 1
            continue
        files.append(UuencodedFile(start[1], made.content, start.start(), end.end()))
        at = end.end()
    return files


def _looks_uuencoded(body: bytes) -> bool:
    lines = [line for line in body[:_JUDGED_BYTES].splitlines()[:-1] or body.splitlines() if line.strip(b" `")]
    good = sum(abs(len(line) - 1 - ((((line[0] - 32) & 63) + 2) // 3) * 4) <= 2 for line in lines)
    return bool(lines) and good * 10 >= len(lines) * 9
