"""Splits a text into the sender's own words, the quoted mail and the signature. Pure; no I/O.

Losing a citizen's words is the worst error: where the marks are in doubt the text keeps all.
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
_LINK = re.compile(r"<[^<>]{1,500}>|\([^()]{1,300}\)|https?://\S+")
_DELIMITER = re.compile(r"^--\s*$")
_FOOTER = re.compile(r"^_{2,}\s*$")
_REFERS = re.compile(r"https?://|@")


@dataclass(frozen=True)
class SplitReply:
    """The three together are all that was written, each in its order."""

    text: str
    quoted: str = ""
    signature: str = ""
    is_forward: bool = False


@dataclass
class _SortedLines:
    """What was sorted so far; `answers` are the sender's own paragraphs below a quote."""

    own: list[str] = field(default_factory=list[str])
    quoted: list[str] = field(default_factory=list[str])
    blocks: int = 0
    answers: int = 0
    is_forward: bool = False


def split_reply(text: str, *, is_reply: bool = False, is_sent_on: bool = False) -> SplitReply:
    """Sort the lines of a text. Cannot raise; linear in the text.

    Gives: everything in `text`, when nothing else would be left in it. Where answers stand between quoted lines, `quoted` is the whole
           as it was written, so that people see what was answered.
    """
    lines = text.split("\n")
    if len(lines) > _READ_LINES:
        return SplitReply(text)
    pile = _sort_lines(list(lines), is_reply=is_reply, is_sent_on=is_sent_on)
    if not pile.quoted and is_reply:
        _take_trailing_quote(pile)
    own, signature = _split_signature(pile.own)
    words = "\n".join(own).strip("\n")
    if not words.strip():
        return SplitReply(text.strip("\n"), is_forward=pile.is_forward)
    is_woven = pile.blocks > 1 and pile.answers > 1
    quoted = "\n".join(lines if is_woven else pile.quoted).strip("\n")
    return SplitReply(words.rstrip(), quoted, "\n".join(signature).strip(), pile.is_forward)


def _sort_lines(lines: list[str], *, is_reply: bool, is_sent_on: bool) -> _SortedLines:
    pile = _SortedLines()
    at = 0
    while at < len(lines):
        if len(lines[at]) > LONGEST_LINE:
            pile.own.append(lines[at])
            at += 1
            continue
        if cut := find_marker_in_line(lines, at, is_reply=is_reply):
            pile.own.append(lines[at][:cut])
            lines[at] = lines[at][cut:].lstrip("- ")
        mark = find_marker(lines, at, is_reply=is_reply)
        if not pile.quoted and (is_forward(lines[at]) or (is_sent_on and mark.is_rest)):
            # What somebody sends on is what they want to say: it stays with their own words, and is told apart by the remark.
            pile.own += lines[at:]
            pile.is_forward = True
            break
        if mark.lines or (QUOTE.match(lines[at]) and (pile.quoted or is_quoted_header(lines, at))):
            while not pile.quoted and pile.own and QUOTE.match(pile.own[-1]):  # of the same block
                pile.own.pop()
                at -= 1
            stop = len(lines) if mark.is_rest else _end_of_quote(lines, at + mark.lines)
            pile.quoted += lines[at:stop]
            pile.blocks += 1
            at = stop
            continue
        if pile.quoted and lines[at].strip():
            pile.answers += not pile.own or not pile.own[-1].strip() or QUOTE.match(lines[at - 1]) is not None
        pile.own.append(lines[at])
        at += 1
    return pile


def _end_of_quote(lines: Sequence[str], at: int) -> int:
    """The first line after a marked quote: past its empty lines, and past a line that was broken in two on the way."""
    stop = at
    while stop < len(lines) and (QUOTE.match(lines[stop]) or not lines[stop].strip() or _is_folded_rest(lines, stop)):
        stop += 1
    return stop


def _is_folded_rest(lines: Sequence[str], at: int) -> bool:
    """The rest of a quoted line, which the next program folded without its mark."""
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


def _take_trailing_quote(pile: _SortedLines) -> None:
    """Marked lines that end an answer without a line above them that says whose they are."""
    own = pile.own
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
        pile.quoted = own[start:stop]
        pile.blocks = 1
        del own[start:]


def _split_signature(own: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words without what they are signed with: after `-- `, or the line of a telephone at their end."""
    remaining = list(own)
    signature: list[str] = []
    bare = sum(line.rstrip() == "--" and line != "-- " for line in remaining)
    for number in range(len(remaining) - 1, max(-1, len(remaining) - _SIGNATURE_LINES - 2), -1):
        after = remaining[number + 1 :]
        is_footer = _FOOTER.match(remaining[number]) and len(after) <= _FOOTER_LINES and any(map(_REFERS.search, after))
        # Dashes without their blank part lists as well; then there are more of them.
        if is_footer or remaining[number] == "-- " or (_DELIMITER.match(remaining[number]) and bare < _FEWEST_MARKED):
            remaining, signature = remaining[:number], remaining[number:]
            break
    while remaining and not remaining[-1].strip():
        remaining.pop()
    if remaining and _MOBILE.match(remaining[-1]) and not _PROSE.search(_LINK.sub("", remaining[-1])):
        signature = [remaining.pop(), *signature]
    if len("\n".join(signature)) > SIGNATURE_CHARACTERS:
        return list(own), []
    return remaining, signature
