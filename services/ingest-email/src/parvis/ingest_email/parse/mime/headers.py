"""Parses and decodes header fields in linear time; the library's parser raises and is super-linear. Pure; no I/O."""

import binascii
import re
from dataclasses import dataclass

from parvis.ingest_email.models.parsed_mail import MAX_HEADERS_BYTES, MAX_MESSAGE_IDS
from parvis.ingest_email.parse.mime.charsets import clean_line, decode_text

_FIELD = re.compile(rb"^([!-9;-~]{1,80})[ \t]*:(.*)$", re.DOTALL)
# Within Q, programs write `?` as it is, and all others show it.
_WORD = re.compile(r"=\?([^?\s]{1,80})\?(?:([bB])\?([^?\r\n]*)|([qQ])\?((?:[^?\r\n]|\?(?!=(?:[\s)\"]|$)))*))\?=")
_ID = re.compile(r"<[^<>\s\x00-\x1f\x7f-\x9f]{1,250}>")
_BARE_IDS = re.compile(r"(?:^|(?<=[\s,;]))[^<>\s,;\"()\x00-\x1f\x7f-\x9f@]{1,200}@[A-Za-z0-9.-]{1,100}(?=[\s,;]|$)")
_IN_ANGLES = re.compile(r"<[^<>]{1,400}>")
_TOKEN = re.compile(
    r'"(?P<quoted>(?:[^"\\]|\\.)*)"|<(?P<angle>[^<>]*)>?|(?P<comment>\((?:[^()\\]|\\.)*\))|(?P<end>[,;])|(?P<word>[^"<(,;]+|["(])'
)
_CHARSET = re.compile(rb"""charset\s*=\s*["']?([A-Za-z0-9_.:-]{2,40})""", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)")
_ROUTE = re.compile(r"^(?:@[^:]*|[^@:\"]*):", re.IGNORECASE)
_READ_CHARACTERS = 4000  # of an address or id field: 20,000 addresses in To cost the library 7 s


@dataclass(frozen=True)
class Headers:
    """The fields in their order, names in lower case, values unfolded."""

    fields: tuple[tuple[str, bytes], ...]

    def raw(self, name: str) -> str:
        """The first field of that name, not decoded; empty when there is none."""
        return next((self._text(value) for other, value in self.fields if other == name), "")

    def all_raw(self, name: str) -> list[str]:
        return [self._text(value) for other, value in self.fields if other == name]

    def _text(self, value: bytes) -> str:
        """UTF-8 (RFC 6532); else what programs without encoded words write: the charset of the body."""
        try:
            return value.decode()
        except UnicodeDecodeError:
            types = (_CHARSET.search(content) for name, content in self.fields if name == "content-type")
            return decode_text(value, next((match[1].decode("ascii") for match in types if match), ""))

    def has(self, name: str) -> bool:
        return any(other == name for other, _ in self.fields)

    def text(self, name: str, length: int) -> str:
        """The first field of that name as people read it."""
        return clean_line(decode_words(self.raw(name)[: 4 * length + 200]), length)

    def ids(self, name: str) -> list[str]:
        """The message ids in a field; long ones come back as encoded words, or folded in their middle."""
        written = decode_words(self.raw(name)[: 8 * _READ_CHARACTERS])
        found = _ID.findall(_IN_ANGLES.sub(lambda match: "".join(match[0].split()), written))
        # Some programs write an id without its angle brackets.
        return found or [f"<{bare}>" for bare in _BARE_IDS.findall(written)]

    def sole_address(self, name: str) -> tuple[str, str]:
        """The address of a field that may stand once (RFC 5322 §3.6); of two that differ, all, which is no address: each reader sees another."""
        found = dict(first_address(raw[:_READ_CHARACTERS]) for raw in self.all_raw(name)[:10])
        found = {address: shown for address, shown in found.items() if address}
        return next(iter(found.items()), ("", "")) if len(found) < 2 else (", ".join(found)[:320], "")

    def address(self, name: str) -> tuple[str, str]:
        """The first address in a field and the name before it; empty texts when there is none."""
        return first_address(self.raw(name)[:_READ_CHARACTERS])


def parse_headers(content: bytes) -> Headers:
    """The fields up to the first empty line. Cannot raise; what is no field is skipped."""
    block = content[:MAX_HEADERS_BYTES].replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip(b"\n")
    head, _, _ = block.partition(b"\n\n")
    unfolded: list[bytearray] = []
    for line in head.split(b"\n"):
        if line[:1] in (b" ", b"\t"):
            if unfolded:
                unfolded[-1] += b" " + line.strip()
        else:
            unfolded.append(bytearray(line))
    matches = (_FIELD.match(bytes(line)) for line in unfolded)
    return Headers(tuple((m[1].decode("ascii").lower(), m[2].strip()) for m in matches if m))


def list_thread_ids(headers: Headers) -> tuple[str, ...]:
    """The mails that this one answers, nearest first."""
    ids = [*headers.ids("in-reply-to"), *reversed(headers.ids("references"))]
    return tuple(dict.fromkeys(ids))[:MAX_MESSAGE_IDS]


def decode_words(text: str) -> str:
    """A value with its encoded words (RFC 2047) decoded; broken ones stay as they are."""
    done: list[str] = []
    pending, pending_charset, end = b"", "", 0
    for match in _WORD.finditer(text):
        between = text[end : match.start()]
        charset, content = (
            match[1].partition("*")[0],
            _decode_word(match[2] or match[4], match[3] if match[2] else match[5]),
        )
        if pending and (between.strip() or charset.lower() != pending_charset.lower()):
            done.append(decode_text(pending, pending_charset))
            pending = b""
        if between.strip() or end == 0:  # white space between two encoded words is not text
            done.append(between)
        pending, pending_charset, end = pending + content, charset, match.end()
    if pending:
        done.append(decode_text(pending, pending_charset))
    return "".join([*done, text[end:]])


def first_address(text: str) -> tuple[str, str]:
    """`(address, name)` of the first mailbox in a list; empty texts when there is none.

    An address is never repaired: without its quotes or its blank it would be somebody else's (RFC 5321 §4.1.2). What is then no
    valid address is rejected where contact points are made.
    """
    name = written = ""
    for token in _TOKEN.finditer(text):
        if token["angle"] is not None:
            return _clean_address(token["angle"]), _decode_name(name)
        if token["end"]:
            if "@" in written:
                break
            name = written = ""
        elif token["quoted"] is not None:
            name += _ESCAPED.sub(r"\1", token["quoted"])
            written += token[0]
        elif not token["comment"]:
            name += token["word"]
            written += token["word"]
        else:
            written += " "
    return (_clean_address(written), "") if "@" in written else ("", "")


def _decode_name(text: str) -> str:
    return clean_line(decode_words(text), 400)


def _clean_address(address: str) -> str:
    """Without a source route (RFC 5321 §C), a group's name, `mailto:` or what surrounds an address."""
    return clean_line(_ROUTE.sub("", address.strip()).strip(" <>'"), 320)


def _decode_word(encoding: str, content: str) -> bytes:
    data = content.encode("utf-8", "replace")
    if encoding in "qQ":
        return binascii.a2b_qp(data, header=True)
    digits = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    digits = digits[: len(digits) - 1] if len(digits) % 4 == 1 else digits
    try:
        return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))
    except binascii.Error:
        return data
