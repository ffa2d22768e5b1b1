"""Bytes and the charset they claim in, readable text out: declared, then likely, then Windows-1252. Pure; no I/O."""

import codecs
import re
import unicodedata

from charset_normalizer import from_bytes

from parvis.ingest_email.tables import CHARSETS

_GUESSED_FROM_BYTES = 16 * 1024
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def decode(content: bytes, declared: str) -> str:
    """The text, whatever the claim. Nothing is dropped: a byte that no charset explains is U+FFFD."""
    for charset in (_known(declared), "utf-8"):
        if charset:
            try:
                return content.decode(charset)
            except (UnicodeError, ValueError):
                continue
    if _known(declared) and declared.lower() not in ("us-ascii", "ascii", ""):
        wrong = content.decode(_known(declared), "replace")
        bad = wrong.count("\N{REPLACEMENT CHARACTER}")
        if bad * 2 <= sum(letter > "\x7f" for letter in wrong) - bad:  # a few bad bytes in what is else as claimed
            return wrong
    return _guessed(content)


def _known(declared: str) -> str:
    """Python's name of the charset; an empty text when it has none, or when it is no charset of text."""
    name = declared.strip().strip("'\"").lower()
    name = CHARSETS.get(name, name)
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return ""
    # rot13, zip, hex and the like are codecs too; `idna` and `punycode` are super-linear
    is_text = getattr(found, "_is_text_encoding", True)
    return (
        ""
        if not is_text
        or found.name in ("idna", "punycode", "undefined", "mbcs", "oem", "unicode_escape", "raw_unicode_escape")
        else found.name
    )


def _guessed(content: bytes) -> str:
    """Few bytes above ASCII are the accents of a western text; where they are the text, they are worth a guess."""
    sample = content[:_GUESSED_FROM_BYTES]
    foreign = sum(byte > 127 for byte in sample) > len(sample) / 5 and len(sample) > 32
    best = from_bytes(sample, threshold=0.3).best() if foreign else None
    try:
        return content.decode(best.encoding if best else "cp1252")
    except (UnicodeError, LookupError, ValueError):
        return content.decode("cp1252", "replace")


def one_line(text: str, length: int) -> str:
    """A header's value as people may see it: one line, without control or direction characters."""
    kept = (" " if unicodedata.category(c)[0] in "CZ" else c for c in text if c not in _BIDI)
    return " ".join("".join(kept).split())[:length]


def lines(text: str) -> str:
    """A text as people may see it: line feeds only, without control or direction characters, or lone surrogates."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode()
    return _UNSEEN.sub("", plain)
