"""The tree of a mail in; its words, files and what is to be said of them out. Runs only in the reading process. Pure; no I/O."""

import re
from collections.abc import Sequence
from dataclasses import replace

from parvis.ingest_email.models.parsed_mail import LARGEST_HEADERS_BYTES, MOST_ATTACHMENTS
from parvis.ingest_email.parse.mime import smime_pgp
from parvis.ingest_email.parse.mime.charsets import decode, lines, one_line
from parvis.ingest_email.parse.mime.collected_parts import Found, Passage
from parvis.ingest_email.parse.mime.headers import read_headers
from parvis.ingest_email.parse.mime.html_text import text_of
from parvis.ingest_email.parse.mime.part_tree import Part, split
from parvis.ingest_email.parse.mime.text_part import SHOWN, is_no_text, passage_of, stands_in_for_html
from parvis.ingest_email.parse.mime.tnef import is_tnef, unpack
from parvis.ingest_email.parse.mime.transfer_encodings import uuencoded_in

_ONLY_HERE = ("content-type", "content-transfer-encoding")
_KNOWN_FIELD = re.compile(
    rb"(?:from|to|cc|bcc|subject|date|sender|reply-to|message-id|received|return-path|in-reply-to|references|mime-version|"
    rb"content-[a-z-]+|x-[a-z0-9-]+|list-[a-z-]+|dkim-signature|arc-[a-z-]+|authentication-results|received-spf|delivered-to|"
    rb"importance|priority|user-agent|thread-[a-z]+|organization|errors-to|precedence|auto-submitted|status|lines)[ \t]*:",
    re.IGNORECASE,
)
_YENC = re.compile(r"^=ybegin [^\n]{0,300}name=", re.MULTILINE)
_QUOTED_CHARACTERS = 200_000


def read_body(content: bytes) -> Found:
    """Words, files and remarks of a mail; what could not be read is said in `troubles`."""
    tree = split(content)
    found = Found()
    _gather(tree.root, found)
    if not found.has_words:
        _read_out_a_file(tree.root, found)
    if tree.trouble:
        found.trouble(tree.trouble)
    return found


def _gather(part: Part, found: Found, within: str = "") -> None:
    if any(len(set(part.headers.all_raw(name))) > 1 for name in _ONLY_HERE):
        found.remark("ambiguous-mime")
        if not (part.is_multipart or part.is_message):
            _keep(part, found, trouble="the mail says in two ways what this is")
            if part.kind not in ("text/plain", "text/html"):
                return
    if part.kind == "multipart/alternative" and part.children:
        _choose(part.children, found)
    elif part.is_multipart:
        _gather_parts(part, found)
    elif part.is_message:
        _keep_message(part, found, within)
    else:
        _leaf(part, found, within)


def _gather_parts(part: Part, found: Found) -> None:
    signed = part.kind == "multipart/signed" and len(part.children) >= 2
    if part.kind == "multipart/encrypted":
        smime_pgp.say_encrypted(found)
    elif signed:
        found.remark(smime_pgp.verdict(part))
    for child in part.children:
        _gather(child, found, part.kind)
    if not part.children and part.preamble.strip():
        found.say(Passage(lines(decode(part.preamble, part.content_type.get("charset")))))
        found.remark("damaged-parts")
    if part.epilogue.strip() and not part.epilogue.lstrip().startswith(b"--"):
        found.remark("text-outside-parts")


def _choose(children: Sequence[Part], found: Found) -> None:
    """Of several ways to say the same, plain text where it says something; the files and invitations of all."""
    ways: list[Found] = []
    best: Found | None = None
    for child in children:
        way = Found(is_silent=found.is_silent or best is not None)  # a page beside a plain text need not be read
        _gather(child, way, "multipart/alternative")
        ways.append(way)
        if best is None and _is_good_plain_text(way):
            best = way
    if best is None:
        said = [way for way in ways if way.has_words]
        best = max(
            (way for way in said if not way.passages[0].is_plain), key=_length, default=said[0] if said else None
        )
    for way in ways:
        found.join(way, with_words=way is best or "calendar" in way.remarks)


def _is_good_plain_text(way: Found) -> bool:
    return (
        way.has_words
        and way.passages[0].is_plain
        and "damaged-parts" not in way.remarks
        and not stands_in_for_html(way.passages[0].text)
    )


def _length(way: Found) -> int:
    return sum(len(passage.text) for passage in way.passages)


def _leaf(part: Part, found: Found, within: str) -> None:
    attached = part.disposition.word == "attachment"
    if part.kind in smime_pgp.ENVELOPES and (inner := smime_pgp.open_envelope(part, found)):
        _gather(split(inner).root, found)
    elif part.kind == "message/partial":
        found.remark("partial-message")
        found.trouble("a piece of a mail")
        _keep(part, found, trouble="a piece of a mail")
    elif part.kind == "message/external-body":
        found.remark("external-body")
        _keep(part, found, trouble="only named in the mail, not in it")
    elif is_tnef(part.decoded.content):
        _gather_tnef(part, found)
    elif part.kind == "text/calendar":
        found.remark("calendar")
        found.say(passage_of(part.decoded.content, part.kind, part.content_type))
        _keep(part, found, name="calendar.ics")
    elif part.kind in SHOWN and not attached and not part.name:
        _say(part, found)
    elif part.kind.startswith("text/") and not attached and not part.name and part.kind != "text/rfc822-headers":
        found.say(passage_of(part.decoded.content, "text/plain", part.content_type))
    elif part.kind == "message/delivery-status":
        return
    else:
        _keep(part, found, inline=_is_inline(part, within))


def _say(part: Part, found: Found) -> None:
    """A text part: its words; the files that are written into plain text, beside it."""
    if found.is_silent:
        return
    content = part.decoded.content
    if part.decoded.is_damaged:
        found.remark("damaged-parts")
    if part.kind == "text/plain":
        for file in reversed(uuencoded_in(content, MOST_ATTACHMENTS)):
            found.keep(one_line(decode(file.name, "utf-8"), 200), "application/octet-stream", file.content)
            content = content[: file.start] + content[file.end :]
    if is_no_text(content, part.content_type):
        _keep(part, found, name="file", trouble="says it is text, and is none")
        return
    passage = passage_of(content, part.kind, part.content_type)
    if stray := _stray(part):
        found.remark("damaged-parts")
        found.say(Passage(text_of(stray) if part.kind == "text/html" else stray, passage.is_plain))
    if smime_pgp.ARMOUR in passage.text:
        passage = replace(passage, text=smime_pgp.unarmoured(passage.text, found))
    if part.kind == "text/plain" and _YENC.search(passage.text):
        found.remark("yenc")
    found.say(passage)


def _keep(part: Part, found: Found, *, name: str = "", trouble: str | None = None, inline: bool = False) -> None:
    content = part.whole if part.kind.startswith("message/") or part.children else part.decoded.content
    name = part.name or name or {"text/rfc822-headers": "headers.txt"}.get(part.kind, "")
    if not content and not part.name:
        return
    if part.decoded.is_damaged and not part.children:
        trouble = trouble or "its encoding is damaged"
    found.keep(
        name or "attachment",
        part.kind if part.kind != "text/rfc822-headers" else "text/plain",
        content,
        trouble=trouble,
        inline=inline,
    )


def _keep_message(part: Part, found: Found, within: str) -> None:
    """A forwarded or returned mail: one file, its words among what is quoted, never the sender's own."""
    child = part.children[0] if part.children else None
    content = child.whole if child else part.decoded.content
    found.keep(part.name or "message.eml", "message/rfc822", content)
    if not child or within == "multipart/report" or sum(map(len, found.quoted)) > _QUOTED_CHARACTERS:
        return
    inner = Found()
    _gather(child, inner)
    found.remark("mail-forwarded")
    heading = "\n".join(
        f"{name.title()}: {value}" for name in ("from", "date", "subject") if (value := child.headers.text(name, 400))
    )
    words = "\n\n".join(passage.text.strip("\n") for passage in inner.passages)
    found.quoted += [f"{heading}\n\n{words}".strip()[:_QUOTED_CHARACTERS], *inner.quoted]
    for trouble in inner.troubles:
        found.trouble(trouble)


def _gather_tnef(part: Part, found: Found) -> None:
    """Outlook's own envelope: what is in it, and the envelope as well."""
    content = part.decoded.content
    found.keep(part.name or "winmail.dat", "application/ms-tnef", content)
    unpacked = unpack(content)
    found.remark("winmail")
    if unpacked.trouble:
        found.trouble(unpacked.trouble)
    for file in unpacked.files:
        found.keep(one_line(file.name, 200) or "attachment", file.media_type, file.content)
    if not found.has_words:
        kind = "text/html" if unpacked.is_html else "text/plain"
        found.say(passage_of(unpacked.body, kind, part.content_type))


def _is_inline(part: Part, within: str) -> bool:
    """Whether the sender shows it inside the message: an image that the page names, or that says so."""
    if part.disposition.word == "attachment":
        return False
    return part.kind.startswith("image/") and (
        part.disposition.word == "inline" or (within == "multipart/related" and part.headers.has("content-id"))
    )


def _read_out_a_file(root: Part, found: Found) -> None:
    """Some telephones send the message itself as a named text."""
    for part in root.leaves():
        if part.kind in ("text/plain", "text/html") and part.disposition.word != "attachment" and part.name:
            found.say(passage_of(part.decoded.content, part.kind, part.content_type))
            return


def _stray(part: Part) -> str:
    """Words that stand in the head, after its last field: mails whose author forgot the empty line."""
    source = part.source
    head = source.content[source.head : min(source.start, source.head + LARGEST_HEADERS_BYTES)]
    rows = head.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rstrip(b"\n").split(b"\n")
    last = max((number for number, row in enumerate(rows) if _KNOWN_FIELD.match(row)), default=-1)
    rest = rows[last + 1 :]
    while rest and rest[0][:1] in (b" ", b"\t") and rest[0].strip():
        rest.pop(0)
    stray = [row for row in rest if row.strip()]
    if not stray or last < 0 or all(read_headers(row).fields for row in stray):
        return ""
    return lines(decode(b"\n".join(rest), "utf-8")).strip("\n")
