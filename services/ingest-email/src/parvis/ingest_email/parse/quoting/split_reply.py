"""Splits a text into the sender's own words, the quoted mail and the signature. Pure; no I/O.

When in doubt a line stays in the sender's text: losing a citizen's words is worse than showing a quote.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from parvis.ingest_email.codes import quote_phrases
from parvis.ingest_email.parse.quoting.quote_markers import (
    LONGEST_LINE,
    QUOTE,
    alternatives,
    find_marker,
    find_marker_in_line,
    is_forward,
    is_quoted_header,
)

_READ_LINES = 5000
_SIGNATURE_LINES = 12
SIGNATURE_CHARACTERS = 2000
_FOLDED_AT = 65
_FEWEST_MARKED = 2
_FOOTER_LINES = 6
_DEEP_ARROWS = re.compile(r"^\s{0,3}>>>+\s*>>>|<<<")
_MOBILE = re.compile(
    rf"^\s*(?:(?:{alternatives(quote_phrases.MOBILE)})(?!\w)|{alternatives(quote_phrases.MOBILE_UNSPACED)})",
    re.IGNORECASE,
)
_PROSE = re.compile(r"[,;!?]|\S\s+(?:\S+\s+){10}")
# A sentence of some length: signatures have names, titles, addresses and numbers.
_SENTENCE = re.compile(r"^(?=(?:\S+\s+){4})[^@]*\w\s?[.?!…]\s*$|^(?:\S+\s+){11}")
_QUESTION = re.compile(r"^(?=(?:\S+\s+){4})[^@]*\w\s?\?\s*$")
# « Envoyé par recommandé » is a citizen's: a telephone names itself, and names have capitals.
_SENT_WITH = re.compile(
    r"^\s*(?:envoyé|sent) (?:par|avec|via|depuis|with|from|using) (?=[a-zà-ÿ])(?!mon |ma |my |l['’]|un |une |the |an? |i[A-Z]|e?[mM]Client)",
    re.IGNORECASE,
)
_LINK = re.compile(r"<[^<>]{1,500}>|\([^()]{1,300}\)|https?://\S+")
_DELIMITER = re.compile(r"^--\s*$")
_FOOTER = re.compile(r"^_{2,}\s*$")
_NAMED = re.compile(r"[A-Z]|https?:")
_REFERS = re.compile(r"https?://|@")


@dataclass(frozen=True)
class SplitReply:
    """The parts of a text; together they contain every line, each part in the original order."""

    text: str
    quoted: str = ""
    signature: str = ""
    is_forward: bool = False


@dataclass
class _SortedLines:
    """The lines assigned so far; `answers` counts the sender's own paragraphs below a quote."""

    own: list[str] = field(default_factory=list[str])
    quoted: list[str] = field(default_factory=list[str])
    quote_blocks: int = 0
    answers: int = 0
    is_forward: bool = False


def split_reply(text: str, *, is_reply: bool = False, is_sent_on: bool = False) -> SplitReply:
    """Assign each line of a text to the reply, the quote or the signature. Never raises; linear in the length of the text.

    Gives: the complete text in `text` if no line of the sender's own would remain. If answers are interleaved with quoted lines,
           `quoted` is the complete text, so that the reader sees which question each answer belongs to.
    """
    lines = text.split("\n")
    if len(lines) > _READ_LINES:
        return SplitReply(text)
    sorted_lines = _sort_lines(list(lines), is_reply=is_reply, is_sent_on=is_sent_on)
    if not sorted_lines.quoted and is_reply:
        _take_trailing_quote(sorted_lines)
    own, signature = _split_signature(sorted_lines.own)
    words = "\n".join(own).strip("\n")
    if not words.strip():
        return SplitReply(text.strip("\n"), is_forward=sorted_lines.is_forward)
    is_interleaved = sorted_lines.quote_blocks > 1 and sorted_lines.answers > 1
    quoted = "\n".join(lines if is_interleaved else sorted_lines.quoted).strip("\n")
    return SplitReply(words.rstrip(), quoted, "\n".join(signature).strip(), sorted_lines.is_forward)


def _sort_lines(lines: list[str], *, is_reply: bool, is_sent_on: bool) -> _SortedLines:
    sorted_lines = _SortedLines()
    at = 0
    while at < len(lines):
        if len(lines[at]) > LONGEST_LINE:
            sorted_lines.own.append(lines[at])
            at += 1
            continue
        if cut := find_marker_in_line(lines, at, is_reply=is_reply):
            sorted_lines.own.append(lines[at][:cut])
            lines[at] = lines[at][cut:].lstrip("- ")
        mark = find_marker(lines, at, is_reply=is_reply)
        if not sorted_lines.quoted and (is_forward(lines[at]) or (is_sent_on and mark.is_rest)):
            # A forwarded mail is the content of the message: it stays in the sender's text and gets the remark mail-forwarded.
            sorted_lines.own += lines[at:]
            sorted_lines.is_forward = True
            break
        if mark.lines or (QUOTE.match(lines[at]) and (sorted_lines.quoted or is_quoted_header(lines, at))):
            while (
                not sorted_lines.quoted and sorted_lines.own and QUOTE.match(sorted_lines.own[-1])
            ):  # quoted lines directly above belong to the same quote
                sorted_lines.own.pop()
                at -= 1
            stop = len(lines) if mark.is_rest else _end_of_quote(lines, at + mark.lines)
            sorted_lines.quoted += lines[at:stop]
            sorted_lines.quote_blocks += 1
            at = stop
            continue
        if sorted_lines.quoted and lines[at].strip():
            sorted_lines.answers += (
                not sorted_lines.own or not sorted_lines.own[-1].strip() or QUOTE.match(lines[at - 1]) is not None
            )
        sorted_lines.own.append(lines[at])
        at += 1
    return sorted_lines


def _end_of_quote(lines: Sequence[str], at: int) -> int:
    """Return the index of the first line after a quote, skipping empty lines and the wrapped ends of quoted lines."""
    stop = at
    while stop < len(lines) and (QUOTE.match(lines[stop]) or not lines[stop].strip() or _is_folded_rest(lines, stop)):
        stop += 1
    return stop


def _is_folded_rest(lines: Sequence[str], at: int) -> bool:
    """Whether a line without a quote mark is the wrapped end of the quoted line above it."""
    if not (0 < at < len(lines) - 1 and QUOTE.match(lines[at - 1]) and QUOTE.match(lines[at + 1])):
        return False
    before, line = lines[at - 1].rstrip(), lines[at].strip()
    if " " not in line and re.search(r"https?://\S+$", before):
        return True
    return (
        len(before) >= _FOLDED_AT
        and before[-1] not in ".?!:"
        and not line[0].isupper()
        and not line.startswith(("-", "*"))
    )


def _take_trailing_quote(sorted_lines: _SortedLines) -> None:
    """Move quoted lines at the end of a reply to the quote, although no attribution line introduces them."""
    own = sorted_lines.own
    stop = len(own)
    while stop and not own[stop - 1].strip():
        stop -= 1
    start = stop
    while (
        start
        and (not own[start - 1].strip() or QUOTE.match(own[start - 1]))
        and not _DEEP_ARROWS.search(own[start - 1])
    ):
        start -= 1
    if sum(QUOTE.match(line) is not None for line in own[start:stop]) >= _FEWEST_MARKED and any(
        line.strip() for line in own[:start]
    ):
        sorted_lines.quoted = own[start:stop]
        sorted_lines.quote_blocks = 1
        del own[start:]


def _is_mobile_signature(line: str) -> bool:
    if not _MOBILE.match(line) or _PROSE.search(_LINK.sub("", line)):
        return False
    return not (_SENT_WITH.match(line) and not _NAMED.search(line.split(maxsplit=1)[1]))


def _split_signature(own: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split off the signature: the lines after `-- `, or the last line if a phone added it."""
    remaining = list(own)
    signature: list[str] = []
    bare = sum(line.rstrip() == "--" and line != "-- " for line in remaining)
    for number in range(len(remaining) - 1, max(-1, len(remaining) - _SIGNATURE_LINES - 2), -1):
        after = remaining[number + 1 :]
        is_footer = _FOOTER.match(remaining[number]) and len(after) <= _FOOTER_LINES and any(map(_REFERS.search, after))
        # Two dashes without the blank also separate the items of lists; then they occur more than once.
        is_bare = (
            _DELIMITER.match(remaining[number]) and bare < _FEWEST_MARKED and not any(map(_SENTENCE.search, after))
        )
        if is_footer or (remaining[number] == "-- " and not any(map(_QUESTION.search, after))) or is_bare:
            remaining, signature = remaining[:number], remaining[number:]
            break
    while remaining and not remaining[-1].strip():
        remaining.pop()
    if remaining and _is_mobile_signature(remaining[-1]):
        signature = [remaining.pop(), *signature]
    if len("\n".join(signature)) > SIGNATURE_CHARACTERS:
        return list(own), []
    return remaining, signature
