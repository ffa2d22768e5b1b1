"""The MIME tree of a mail in, its text and attachments out. Runs only in the reading process: hostile trees end it. Pure; no I/O."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from typing import Any, TypeAlias

from parvis.ingest_email.parse.charsets import decode, lines, one_line
from parvis.ingest_email.parse.headers import decode_words
from parvis.ingest_email.parse.markup import text_of
from parvis.ingest_email.tables import (
    DEEPEST,
    LONGEST_TEXT_CHARACTERS,
    MAGIC,
    MOST_ATTACHMENTS,
    MOST_PARTS,
    ZIP,
    Attachment,
    Report,
)

# What the library raises at damaged parameters and encodings; a part that fails costs itself only.
SURPRISES = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,100}")

Part: TypeAlias = "Message[Any, Any]"


@dataclass
class Found:
    """What a tree holds."""

    texts: list[str] = field(default_factory=list[str])
    plain: bool = False
    attachments: list[tuple[Attachment, bytes]] = field(default_factory=list[tuple[Attachment, bytes]])
    report: Report | None = None
    troubles: list[str] = field(default_factory=list[str])
    parts: int = 0

    @property
    def text(self) -> str:
        return "\n\n".join(text.strip("\n") for text in self.texts if text.strip())[:LONGEST_TEXT_CHARACTERS]


def read_body(content: bytes) -> Found:
    """Text, attachments and report of a mail; what could not be read is said in `troubles`."""
    found = Found()
    _gather(BytesParser(policy=compat32).parsebytes(content), found, 0)
    return found


def _gather(part: Part, found: Found, depth: int) -> None:
    found.parts += 1
    if depth > DEEPEST or found.parts > MOST_PARTS:
        found.troubles.append(f"nested deeper than {DEEPEST}" if depth > DEEPEST else f"over {MOST_PARTS} parts")
        return
    kind = part.get_content_type()
    children = _children(part)
    if kind == "message/delivery-status":
        found.report = found.report or _report(children or [part])
    elif kind in ("message/rfc822", "message/global") or (part.get_content_maintype() == "message" and children):
        _keep_message(part, children, found)
    elif kind == "multipart/alternative" and children:
        _choose(children, found, depth)
    elif children:
        for child in children:
            _gather(child, found, depth + 1)
    else:
        _leaf(part, kind, found)


def _children(part: Part) -> Sequence[Part]:
    payload = part.get_payload()
    return [child for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []


def _choose(children: Sequence[Part], found: Found, depth: int) -> None:
    """Of several ways to say the same, plain text where it says something; the attachments of all."""
    ways: list[Found] = []
    for child in children:
        way = Found(parts=found.parts)
        _gather(child, way, depth + 1)
        found.parts = way.parts
        found.attachments += way.attachments
        found.troubles += way.troubles
        found.report = found.report or way.report
        ways.append(way)
    said = [way for way in ways if way.text]
    best = next((way for way in said if way.plain), said[-1] if said else None)
    if best:
        found.texts += best.texts
        found.plain = best.plain


def _leaf(part: Part, kind: str, found: Found) -> None:
    content = _content(part, found)
    name = _name(part)
    disposition = str(part.get("content-disposition", "")).strip().lower()
    is_text = kind in ("text/plain", "text/html", "text/enriched") or (kind.startswith("text/") and not name)
    if is_text and not disposition.startswith("attachment") and not name and kind != "text/rfc822-headers":
        text = decode(content, _charset(part))
        found.texts.append(lines(text_of(text) if kind == "text/html" else _flowed(text, part)))
        found.plain = found.plain or kind != "text/html"
    elif kind == "text/rfc822-headers":
        found.report = _about(found.report, content)
        _keep(found, name or "headers.txt", "text/plain", content)
    elif content or name:
        _keep(found, name or "attachment", _media_type(kind, content), content)


def _keep_message(part: Part, children: Sequence[Part], found: Found) -> None:
    """A forwarded or returned mail: one attachment, never the sender's own words."""
    try:
        content = children[0].as_bytes() if children else _content(part, found)
    except SURPRISES:
        found.troubles.append("a mail within the mail cannot be written out")
        return
    found.report = _about(found.report, content)
    _keep(found, _name(part) or "message.eml", "message/rfc822", content)


def _keep(found: Found, name: str, media_type: str, content: bytes) -> None:
    if len(found.attachments) >= MOST_ATTACHMENTS:
        if len(found.attachments) == MOST_ATTACHMENTS:
            found.troubles.append(f"over {MOST_ATTACHMENTS} attachments: the others are in the original only")
        return
    found.attachments.append((Attachment(name=name, media_type=media_type, size_bytes=len(content)), content))


def _content(part: Part, found: Found) -> bytes:
    try:
        content = part.get_payload(decode=True)
    except SURPRISES:
        found.troubles.append("a part is encoded in a way that cannot be undone")
        return b""
    return content if isinstance(content, bytes) else b""


def _name(part: Part) -> str:
    try:
        name = part.get_filename("") or ""
    except SURPRISES:
        return "attachment"
    return one_line(decode_words(str(name)), 400).replace("\\", "/").rpartition("/")[2][:200]


def _charset(part: Part) -> str:
    try:
        return str(part.get_content_charset("") or "")
    except SURPRISES:
        return ""


def _flowed(text: str, part: Part) -> str:
    """Undo the soft line ends of format=flowed (RFC 3676); quoted lines stay as they are."""
    try:
        is_flowed = str(part.get_param("format", "")).lower() == "flowed"
        drop_space = str(part.get_param("delsp", "")).lower() == "yes"
    except SURPRISES:
        return text
    if not is_flowed:
        return text
    whole, open_line = [""], True
    for line in text.splitlines():
        plain = line.removeprefix(" ")
        if not open_line or plain.startswith(">"):
            whole.append("")
        open_line = plain.endswith(" ") and plain != "-- " and not plain.startswith(">")
        whole[-1] += plain[:-1] if open_line and drop_space else plain
    return "\n".join(whole)


def _media_type(declared: str, content: bytes) -> str:
    """By content where the first bytes tell, else as declared."""
    for start, media_type in MAGIC:
        if content.startswith(start):
            return media_type
    if content.startswith(ZIP) and not declared.startswith("application/"):
        return "application/zip"
    return declared if _MEDIA_TYPE.fullmatch(declared) else "application/octet-stream"


def _report(blocks: Sequence[Part]) -> Report:
    """The first recipient's fields of a delivery status notification (RFC 3464 §2.3); our replies have one recipient."""
    for block in blocks:
        action = str(block.get("action", "")).strip().lower()
        if action:
            return Report(action=action[:20], status=_status(str(block.get("status", ""))))
    return Report(action="")


def _status(text: str) -> str:
    found = re.search(r"\b[245]\.\d{1,3}\.\d{1,3}\b", text[:200])
    return found[0] if found else ""


def _about(report: Report | None, original: bytes) -> Report | None:
    """The report, with the Message-ID of the mail it returns."""
    found = re.search(rb"^message-id[ \t]*:\s*(<[^<>\s]{1,250}>)", original[: 64 * 1024], re.IGNORECASE | re.MULTILINE)
    if not (report and found):
        return report
    return report.model_copy(update={"message_id": report.message_id or found[1].decode("latin-1")})
