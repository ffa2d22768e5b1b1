"""Collects texts, files and remarks from the MIME parts of a mail; runs only in the sandbox. Pure; no I/O."""

import re
from collections.abc import Sequence
from dataclasses import replace

from parvis.ingest_email.models.parsed_mail import MAX_ATTACHMENTS, MAX_HEADERS_BYTES
from parvis.ingest_email.parse.mime import smime_pgp
from parvis.ingest_email.parse.mime.charsets import clean_line, clean_text, decode_text
from parvis.ingest_email.parse.mime.collected_parts import CollectedParts, TextPart
from parvis.ingest_email.parse.mime.compare_alternatives import (
    has_words,
    is_short,
    lacks_words,
    says_more,
    says_nothing_else,
)
from parvis.ingest_email.parse.mime.headers import parse_headers
from parvis.ingest_email.parse.mime.html_text import html_to_text
from parvis.ingest_email.parse.mime.part_tree import MimePart, parse_part_tree
from parvis.ingest_email.parse.mime.rtf import rtf_to_text
from parvis.ingest_email.parse.mime.text_part import DISPLAYED_TYPES, decode_text_part, is_binary, is_html_placeholder
from parvis.ingest_email.parse.mime.tnef import is_tnef, parse_tnef
from parvis.ingest_email.parse.mime.transfer_encodings import find_uuencoded_files

_ONLY_HERE = ("content-type", "content-transfer-encoding")
_KNOWN_FIELD = re.compile(
    rb"(?:from|to|cc|bcc|subject|date|sender|reply-to|message-id|received|return-path|in-reply-to|references|mime-version|"
    rb"content-[a-z-]+|x-[a-z0-9-]+|list-[a-z-]+|dkim-signature|arc-[a-z-]+|authentication-results|received-spf|delivered-to|"
    rb"importance|priority|user-agent|thread-[a-z]+|organization|errors-to|precedence|auto-submitted|status|lines)[ \t]*:",
    re.IGNORECASE,
)
_GMAIL_REACTION = "text/vnd.google.email-reaction+json"
_TABLE_CELL = re.compile(rb"<t[dh][\s>]", re.IGNORECASE)
_YENC = re.compile(r"^=ybegin [^\n]{0,300}name=", re.MULTILINE)
_QUOTED_CHARACTERS = 200_000


def parse_body(content: bytes) -> CollectedParts:
    """Collect the texts, files and remarks of a mail; `troubles` explains what could not be read."""
    tree = parse_part_tree(content)
    body = CollectedParts()
    _collect(tree.root, body)
    if not body.has_text:
        _use_named_text(tree.root, body)
    if tree.trouble:
        body.add_trouble(tree.trouble)
    return body


def _collect(part: MimePart, body: CollectedParts, within: str = "") -> None:
    if any(len(set(part.headers.all_raw(name))) > 1 for name in _ONLY_HERE):
        body.add_remark("ambiguous-mime")
        if not (part.is_multipart or part.is_message):
            _collect_file(part, body, trouble="the mail declares two different types for this part")
            if part.media_type not in ("text/plain", "text/html"):
                return
    if part.media_type == "multipart/alternative" and part.children:
        _choose_alternative(part.children, body)
    elif part.is_multipart:
        _collect_multipart(part, body)
    elif part.is_message:
        _collect_message(part, body, within)
    elif not _is_reaction_data(part, body):
        _collect_leaf(part, body, within)


def _is_reaction_data(part: MimePart, body: CollectedParts) -> bool:
    """Remark a reaction; whether the part is only its data, whose emoji is in the plain text beside it."""
    is_data = part.media_type == _GMAIL_REACTION
    if is_data or part.disposition.word == "reaction":
        body.add_remark("reaction")
    return is_data


def _collect_multipart(part: MimePart, body: CollectedParts) -> None:
    signed = part.media_type == "multipart/signed" and len(part.children) >= 2
    if part.media_type == "multipart/encrypted":
        smime_pgp.mark_encrypted(body)
    elif signed:
        body.add_remark(smime_pgp.check_signature(part))
    for child in part.children:
        _collect(child, body, part.media_type)
    if not part.children and part.preamble.strip():
        body.add_text(TextPart(clean_text(decode_text(part.preamble, part.content_type.get("charset")))))
        body.add_remark("damaged-parts")
    if part.epilogue.strip() and not part.epilogue.lstrip().startswith(b"--"):
        body.add_remark("text-outside-parts")


def _choose_alternative(children: Sequence[MimePart], body: CollectedParts) -> None:
    """Take the text of a multipart/alternative that says most; keep files and invitations of all children.

    That is the plain text, unless it is empty, a placeholder, or a short beginning of the page beside it. A short text that the
    longer page does not contain is kept with the page.
    """
    alternatives: list[CollectedParts] = []
    best: CollectedParts | None = None
    for child in children:
        # HTML next to a long plain text is not converted, unless it has a table, which text versions leave out
        alternative = CollectedParts(skips_text=body.skips_text or (best is not None and not is_short(best.words)))
        _collect(child, alternative, "multipart/alternative")
        alternatives.append(alternative)
        if best is None and _is_good_plain_text(alternative):
            best = alternative
    if best is None:
        best = _longest_page(alternatives) or next((way for way in alternatives if way.has_text), None)
    kept = [best, *_longer_pages(best, alternatives)]
    if len(kept) > 1 and best and says_nothing_else(best.words, kept[1].words if kept[1] else ""):
        kept.pop(0)
    shown = "\n".join(way.words for way in kept if way)
    pages = [way for way in alternatives if way not in kept and "calendar" not in way.remarks and way.has_text]
    if any(not way.texts[0].is_plain and lacks_words(shown, way.words) for way in pages):
        body.add_remark("more-in-page")
    for alternative in alternatives:
        body.merge(alternative, with_words=alternative in kept or "calendar" in alternative.remarks)


def _longest_page(alternatives: Sequence[CollectedParts]) -> CollectedParts | None:
    pages = [way for way in alternatives if way.has_text and not way.texts[0].is_plain]
    return max(pages, key=lambda way: len(way.words), default=None)


def _longer_pages(best: CollectedParts | None, alternatives: Sequence[CollectedParts]) -> list[CollectedParts]:
    """The page beside a short plain text, if it says much more."""
    page = _longest_page([way for way in alternatives if "calendar" not in way.remarks])
    is_longer = best and page and best is not page and best.texts[0].is_plain and says_more(page.words, best.words)
    return [page] if page and is_longer else []


def _is_good_plain_text(alternative: CollectedParts) -> bool:
    return (
        alternative.has_text
        and alternative.texts[0].is_plain
        and "damaged-parts" not in alternative.remarks
        and has_words(alternative.words)
        and not is_html_placeholder(alternative.texts[0].text)
    )


def _collect_leaf(part: MimePart, body: CollectedParts, within: str) -> None:
    attached = part.disposition.word == "attachment"
    if part.media_type in smime_pgp.ENVELOPES and (inner := smime_pgp.open_envelope(part, body)):
        _collect(parse_part_tree(inner).root, body)
    elif part.media_type == "message/partial":
        body.add_remark("partial-message")
        body.add_trouble("one fragment of a mail that was sent in several (message/partial)")
        _collect_file(part, body, trouble="one fragment of a mail that was sent in several (message/partial)")
    elif part.media_type == "message/external-body":
        body.add_remark("external-body")
        _collect_file(part, body, trouble="the mail refers to this file but does not contain it")
    elif is_tnef(part.decoded.content):
        _collect_tnef(part, body)
    elif part.media_type == "text/calendar":
        body.add_remark("calendar")
        body.add_text(decode_text_part(part.decoded.content, part.media_type, part.content_type))
        _collect_file(part, body, name="calendar.ics")
    elif part.media_type in DISPLAYED_TYPES and not attached and not part.name:
        _collect_text(part, body)
    elif part.media_type == "text/rtf" and not attached and not part.name:
        rtf = rtf_to_text(part.decoded.content)
        body.add_text(TextPart(clean_text(html_to_text(rtf.text) if rtf.is_html else rtf.text), is_plain=False))
    elif (
        part.media_type.startswith("text/")
        and not attached
        and not part.name
        and part.media_type != "text/rfc822-headers"
    ):
        body.add_text(decode_text_part(part.decoded.content, "text/plain", part.content_type))
    elif part.media_type == "message/delivery-status":
        return
    else:
        _collect_file(part, body, inline=_is_inline(part, within))


def _collect_text(part: MimePart, body: CollectedParts) -> None:
    """Add a text part; uuencoded files in plain text become attachments."""
    content = part.decoded.content
    if body.skips_text and not (part.media_type == "text/html" and _TABLE_CELL.search(content)):
        return
    if part.decoded.is_damaged:
        body.add_remark("damaged-parts")
    if part.media_type == "text/plain":
        for file in reversed(find_uuencoded_files(content, MAX_ATTACHMENTS)):
            body.add_file(clean_line(decode_text(file.name, "utf-8"), 200), "application/octet-stream", file.content)
            content = content[: file.start] + content[file.end :]
    if is_binary(content, part.content_type):
        _collect_file(part, body, name="file", trouble="declared as text but contains binary data")
        return
    text_part = decode_text_part(content, part.media_type, part.content_type)
    if stray := _text_in_head(part):
        body.add_remark("damaged-parts")
        body.add_text(TextPart(html_to_text(stray) if part.media_type == "text/html" else stray, text_part.is_plain))
    if smime_pgp.ARMOUR in text_part.text:
        text_part = replace(text_part, text=smime_pgp.remove_pgp_armour(text_part.text, body))
    if part.media_type == "text/plain" and _YENC.search(text_part.text):
        body.add_remark("yenc")
    body.add_text(text_part)


def _collect_file(
    part: MimePart, body: CollectedParts, *, name: str = "", trouble: str | None = None, inline: bool = False
) -> None:
    content = part.raw if part.media_type.startswith("message/") or part.children else part.decoded.content
    name = part.name or name or {"text/rfc822-headers": "headers.txt"}.get(part.media_type, "")
    if not content and not part.name:
        return
    if part.decoded.is_damaged and not part.children:
        trouble = trouble or "its encoding is damaged"
    body.add_file(
        name or "attachment",
        part.media_type if part.media_type != "text/rfc822-headers" else "text/plain",
        content,
        trouble=trouble,
        inline=inline,
    )


def _collect_message(part: MimePart, body: CollectedParts, within: str) -> None:
    """Add a forwarded or returned mail as one file; its text goes to the quoted text, never to the sender's."""
    child = part.children[0] if part.children else None
    content = child.raw if child else part.decoded.content
    body.add_file(part.name or "message.eml", "message/rfc822", content)
    if not child or within == "multipart/report" or sum(map(len, body.quoted)) > _QUOTED_CHARACTERS:
        return
    inner = CollectedParts()
    _collect(child, inner)
    body.add_remark("mail-forwarded")
    heading = "\n".join(
        f"{name.title()}: {value}" for name in ("from", "date", "subject") if (value := child.headers.text(name, 400))
    )
    words = "\n\n".join(text_part.text.strip("\n") for text_part in inner.texts)
    body.quoted += [f"{heading}\n\n{words}".strip()[:_QUOTED_CHARACTERS], *inner.quoted]
    for trouble in inner.troubles:
        body.add_trouble(trouble)


def _collect_tnef(part: MimePart, body: CollectedParts) -> None:
    """Add the contents of a winmail.dat and the file itself."""
    content = part.decoded.content
    body.add_file(part.name or "winmail.dat", "application/ms-tnef", content)
    unpacked = parse_tnef(content)
    body.add_remark("winmail")
    if unpacked.trouble:
        body.add_trouble(unpacked.trouble)
    for file in unpacked.files:
        body.add_file(clean_line(file.name, 200) or "attachment", file.media_type, file.content)
    if not body.has_text:
        kind = "text/html" if unpacked.is_html else "text/plain"
        body.add_text(decode_text_part(unpacked.body, kind, part.content_type))


def _is_inline(part: MimePart, within: str) -> bool:
    """Whether an image is displayed inside the message: Content-Disposition inline, or a Content-ID in a multipart/related."""
    if part.disposition.word == "attachment":
        return False
    return part.media_type.startswith("image/") and (
        part.disposition.word == "inline" or (within == "multipart/related" and part.headers.has("content-id"))
    )


def _use_named_text(root: MimePart, body: CollectedParts) -> None:
    """Use a named text part as the message text: some phones give the message itself a file name."""
    for part in root.leaves():
        if part.media_type in ("text/plain", "text/html") and part.disposition.word != "attachment" and part.name:
            body.add_text(decode_text_part(part.decoded.content, part.media_type, part.content_type))
            return


def _text_in_head(part: MimePart) -> str:
    """Return the text between the last known header field and the body, for mails without an empty line after the header."""
    source = part.source
    head = source.content[source.head : min(source.start, source.head + MAX_HEADERS_BYTES)]
    rows = head.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rstrip(b"\n").split(b"\n")
    last = max((number for number, row in enumerate(rows) if _KNOWN_FIELD.match(row)), default=-1)
    rest = rows[last + 1 :]
    while rest and rest[0][:1] in (b" ", b"\t") and rest[0].strip():
        rest.pop(0)
    stray = [row for row in rest if row.strip()]
    if not stray or last < 0 or all(parse_headers(row).fields for row in stray):
        return ""
    return clean_text(decode_text(b"\n".join(rest), "utf-8")).strip("\n")
