"""Decodes bytes by their declared charset, then by a likely one, then as Windows-1252. Pure; no I/O."""

import codecs
import re
import unicodedata
from typing import NamedTuple

from charset_normalizer import from_bytes

from parvis.ingest_email.models.parsed_mail import CHARSETS

_GUESSED_FROM_BYTES = 4 * 1024
# Every character that ends a line (Unicode 5.8); Word's soft line end is one of them.
_LINE_END = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# What is valid UTF-8 is hardly ever meant to be one of these.
_WESTERN = frozenset(["cp1252", "iso8859-1", "iso8859-15", "ascii"])
# Of these, plain ASCII may be something else.
_STATEFUL = ("utf-7", "utf-16", "utf-32", "ucs", "unicode", "iso-2022", "csiso2022", "iso-10646", "hz")
_MIXED = re.compile("[ÂÃÄÅ][\u0080-\u00bf\u0152-\u0192\u02c6\u02dc\u2013-\u2122]")
_MIXED_PAIRS = 2
# Format characters that show nothing. A joiner counts between two characters that it joins: emoji, Persian and Indic letters.
_JOINERS = "\u200c\u200d"
_UNSEEN_FORMAT = re.compile(
    "[\u00ad\u034f\u180e\u200b\u200e\u200f\u2060-\u2064\ufeff]|(?<![\u0590-\u1fff\u2190-\uffff\U00010000-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0590-\u1fff\u2190-\uffff\U00010000-\U0010ffff])"
)


class DecodedText(NamedTuple):
    """A text; `is_guess` when it is not what its sender declared, or they declared nothing that fits."""

    text: str
    is_guess: bool = False


def decode_text(content: bytes, declared: str) -> str:
    """The text, whatever the claim. Nothing is dropped: a byte that no charset explains is U+FFFD."""
    return decode_with_guess(content, declared).text


def decode_with_guess(content: bytes, declared: str) -> DecodedText:
    """The same, and whether it is a guess."""
    if content.isascii() and not declared.lower().startswith(_STATEFUL):
        return DecodedText(content.decode("ascii"))
    known = _python_codec(declared)
    if (
        known.startswith(("utf-16", "utf-32"))
        and b"\0" not in content
        and _decode_strictly(content, "utf-8") is not None
    ):
        known = "utf-8"  # in those charsets each letter of ours has a zero byte
    if known in _WESTERN and (mended := _decode_strictly(content, "utf-8")) is not None:
        return _repair_double_encoding(DecodedText(mended, is_guess=known != "ascii"))
    for charset in dict.fromkeys((known, "utf-8")):
        text = _decode_strictly(content, charset) if charset else None
        if text is not None:
            return _repair_double_encoding(DecodedText(text, is_guess=charset != known and bool(declared)))
    if known and known != "ascii":
        wrong = content.decode(known, "replace")
        bad = wrong.count("\N{REPLACEMENT CHARACTER}")
        if bad * 2 <= sum(letter > "\x7f" for letter in wrong) - bad:  # a few bad bytes in what is else as claimed
            return DecodedText(wrong, is_guess=True)
    return _repair_double_encoding(DecodedText(_decode_guessed(content), is_guess=True))


def _decode_strictly(content: bytes, charset: str) -> str | None:
    if charset == "utf-16" and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        charset = "utf-16-le" if content[1:200:2].count(0) > content[:200:2].count(0) else "utf-16-be"
    try:
        return content.decode(charset).removeprefix("\ufeff")
    except (UnicodeError, ValueError):
        return None


def _repair_double_encoding(decoded: DecodedText) -> DecodedText:
    """`dÃ©chets` is UTF-8 that somebody took for Windows-1252 and encoded again. One such pair alone may be meant."""
    pairs = [pair for pair in _MIXED.finditer(decoded.text) if _repair_pair(pair).isalpha()]
    if len(pairs) < _MIXED_PAIRS:
        return decoded
    return DecodedText(
        _MIXED.sub(_repair_pair, decoded.text).replace("Ã ", "à "), is_guess=True
    )  # its second half is a space


def _repair_pair(pair: re.Match[str]) -> str:
    try:
        return pair[0].encode("cp1252").decode("utf-8")
    except UnicodeError:
        return pair[0]


def _python_codec(declared: str) -> str:
    """Python's name of the charset; an empty text when it has none, or when it is no charset of text."""
    name = declared.strip().strip("'\"").lower()
    name = CHARSETS.get(name, name)
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError):
        return ""
    # rot13, zip, hex and the like are codecs too; `idna` and `punycode` are super-linear
    is_text = getattr(codec, "_is_text_encoding", True)
    return (
        ""
        if not is_text
        or codec.name in ("idna", "punycode", "undefined", "mbcs", "oem", "unicode_escape", "raw_unicode_escape")
        else codec.name
    )


def _decode_guessed(content: bytes) -> str:
    """Few bytes above ASCII are the accents of a western text; where they are the text, they are worth a guess."""
    sample = content[:_GUESSED_FROM_BYTES]
    foreign = sum(byte > 127 for byte in sample) > len(sample) / 5 and len(sample) > 32
    best = from_bytes(sample, threshold=0.3).best() if foreign else None
    try:
        return content.decode(best.encoding if best else "cp1252")
    except (UnicodeError, LookupError, ValueError):
        return content.decode("cp1252", "replace")


def clean_line(text: str, length: int) -> str:
    """A header's value as people may see it: one line, without control or direction characters."""
    kept = _UNSEEN_FORMAT.sub("", text)
    visible = (_shown(c) for c in kept)
    return " ".join("".join(visible).split())[:length]


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf" and character not in _JOINERS:  # a blank in its place would divide a word
        return ""
    return " " if category[0] in "CZ" and character not in _JOINERS else character


def clean_text(text: str) -> str:
    """A text as people may see it: line feeds only, without control or direction characters, or lone surrogates."""
    plain = _LINE_END.sub("\n", text).encode("utf-8", "replace").decode()
    return _UNSEEN.sub("", plain)
