"""Decodes a text part: charset, format=flowed, HTML, enriched text, calendar. Pure; no I/O."""

import codecs
import re

from parvis.ingest_email.codes.quote_phrases import SEE_HTML
from parvis.ingest_email.models.parsed_mail import MAX_TEXT_CHARACTERS
from parvis.ingest_email.parse.mime.calendar import summarize_events
from parvis.ingest_email.parse.mime.charsets import clean_text, decode_with_guess
from parvis.ingest_email.parse.mime.collected_parts import TextPart
from parvis.ingest_email.parse.mime.html_text import parse_html
from parvis.ingest_email.parse.mime.parameters import MimeField

_META_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.IGNORECASE)
_COMMAND = re.compile(r"<(/?)([A-Za-z0-9-]{1,60})>")
_FEW_CHARACTERS = 400
_JUDGED_BYTES = 4000
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
DISPLAYED_TYPES = frozenset({"text/plain", "text/html", "text/enriched", "text/richtext", "text/calendar"})


def decode_text_part(content: bytes, kind: str, declared: MimeField) -> TextPart:
    """Decode a text part. Never raises."""
    decoded = decode_with_guess(
        content, declared.get("charset") or (_html_charset(content) if kind == "text/html" else "")
    )
    if kind == "text/html":
        page = parse_html(decoded.text)
        return TextPart(
            clean_text(page.text),
            is_plain=False,
            remote_images=page.remote_images,
            is_guess=decoded.is_guess,
            is_cut=page.is_cut,
        )
    is_cut, text = len(decoded.text) > MAX_TEXT_CHARACTERS, clean_text(decoded.text[:MAX_TEXT_CHARACTERS])
    if kind in ("text/enriched", "text/richtext"):
        return TextPart(_strip_enriched(text), is_plain=False, is_guess=decoded.is_guess)
    if kind == "text/calendar":
        return TextPart(summarize_events(text), is_plain=False, is_guess=decoded.is_guess)
    return TextPart(_unflow(text, declared), is_guess=decoded.is_guess, is_cut=is_cut)


def _html_charset(content: bytes) -> str:
    match = _META_CHARSET.search(content[:2048])
    return match[1].decode("ascii") if match else ""


def is_html_placeholder(text: str) -> bool:
    """Whether a plain text only refers to the HTML alternative."""
    words = text.strip().lower()
    return len(words) <= _FEW_CHARACTERS and any(phrase in words for phrase in SEE_HTML)


def is_binary(content: bytes, declared: MimeField) -> bool:
    """Whether a part declared as text is binary. ISO 2022 contains escapes, UTF-16 contains zeros.

    A short text with a stray control character is still a text: its words must not hide in a file.
    """
    if declared.get("charset").lower().startswith(("utf-16", "utf-32", "ucs", "unicode", "iso-10646")):
        return False
    sample = content[:_JUDGED_BYTES]
    controls = len(_CONTROL.findall(sample))
    return controls * 50 > len(sample) and not (controls * 4 <= len(sample) and _is_utf8(sample))


def _is_utf8(sample: bytes) -> bool:
    """Whether it is UTF-8, which binary data never are by chance. The last character may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _unflow(text: str, declared: MimeField) -> str:
    """Join the soft line breaks of format=flowed (RFC 3676), except in quoted lines and `-- `."""
    if declared.get("format").lower() != "flowed":
        return text
    drops_space = declared.get("delsp").lower() == "yes"
    paragraphs: list[list[str]] = []
    is_open = False
    for line in text.split("\n"):
        plain = line.removeprefix(" ")
        if not is_open or plain.startswith(">") or plain == "-- ":
            paragraphs.append([])
        is_open = plain.endswith(" ") and plain != "-- " and not plain.startswith(">")
        paragraphs[-1].append(plain[:-1] if is_open and drops_space else plain)
    return "\n".join(map("".join, paragraphs))


def _strip_enriched(text: str) -> str:
    """Convert enriched text (RFC 1896): `<<` is `<`, a line feed is a space, n of them are n-1; parameters are dropped."""
    pieces: list[str] = []
    hidden = at = 0
    text = text.replace("<<", "\x02")
    for command in _COMMAND.finditer(text):
        if not hidden:
            pieces.append(text[at : command.start()])
        at = command.end()
        if command[2].lower() == "param":
            hidden = 0 if command[1] else hidden + 1
        elif command[2].lower() in ("nl", "paragraph"):
            pieces.append("\n\n")
    pieces.append("" if hidden else text[at:])
    joined = re.sub(r"\n+", lambda ends: " " if len(ends[0]) == 1 else ends[0][1:], "".join(pieces))
    return joined.replace("\x02", "<")
