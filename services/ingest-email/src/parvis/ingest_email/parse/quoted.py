"""A text as it was written in; the sender's own words, what they quoted, and what they signed with out. Pure; no I/O.

Losing a citizen's words is the worst error: where the marks are in doubt the text keeps all.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from parvis.ingest_email.parse import phrases

_READ_LINES = 5000
_HEADER_LINES = 6
_HEADER_CHARACTERS = 500
_BLOCK_LINES = 9
_NAME_CHARACTERS = 60
_SIGNATURE_LINES = 12
SIGNATURE_CHARACTERS = 2000


@dataclass(frozen=True)
class Separated:
    """The three together are all that was written, each in its order."""

    text: str
    quoted: str = ""
    signature: str = ""
    is_forward: bool = False


def _words(table: Sequence[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(set(table), key=len, reverse=True))


_QUOTE = re.compile(r"^\s{0,3}>")
_DEEP_ARROWS = re.compile(r"^\s{0,3}>>>+\s*>>>|<<<")
_WROTE = rf"(?:(?<![\w'’])(?:{_words(phrases.WROTE)})(?!\w)|{_words(phrases.WROTE_UNSPACED)})"
_VERB = re.compile(_WROTE, re.IGNORECASE)
_ENDS_HEADER = re.compile(r"(?:[:\uff1a]|[-_]{2,})\s*$")
_ADDRESS = re.compile(r"[\w.+'=*-]{1,100}@[\w-]{1,100}")
_TIME = re.compile(r"\b\d{1,2}[:.]\d\d\b")
_CLOCK = re.compile(r"\b\d{1,2}:\d\d(?::\d\d)?\b")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b|\b\d{1,2}[./-](?:\d{1,2}|[^\W\d]{3,4}\.?)[./-]\d{2,4}\b|\d{4}年")
_LEAD = re.compile(rf"^[\s*_-]*(?:{_words(phrases.LEADS)})(?=[\s,\d.]|$)|^[\s*_-]*(?:在|於|于)", re.IGNORECASE)
_DATE_FIRST = re.compile(r"^[\s*]*(?:[^\W\d]{2,12}\.?,?\s{1,2})?\d{1,4}[\s./年년-]", re.IGNORECASE)
_DASHED_WROTE = re.compile(rf"^\s*[-_]{{2,}}\s*[^\n]{{1,200}}{_WROTE}\s*:?\s*[-_]{{2,}}\s*$", re.IGNORECASE)
_SHARED_LINE = re.compile(rf"-{{3,}}\s?(?=(?:{_words(phrases.LEADS)})\s.{{1,300}}$)", re.IGNORECASE)
_ORIGINAL = re.compile(rf"^[\s*#]*[-_=]{{2,}}\s*(?:{_words(phrases.ORIGINAL)})\b[^\n]{{0,60}}$", re.IGNORECASE)
_FORWARDED = re.compile(
    rf"^[\s*#]*(?:[-_=]{{2,}}\s*(?:{_words(phrases.FORWARDED)})\b[^\n]{{0,80}}|(?:{_words(phrases.FORWARDED)})\s?:)\s*$",
    re.IGNORECASE,
)
_RULE = re.compile(r"^\s*[_\u2014=-]{5,}\s*$")
_LABELS = {
    kind: re.compile(rf"(?:^|(?<=\s)|(?<=\*))\*{{0,2}}(?:{_words(words)})\*{{0,2}}\s?[:\uff1a]\*{{0,2}}(?=\s|\S)", re.IGNORECASE)
    for kind, words in (("from", phrases.FROM), ("sent", phrases.SENT), ("to", phrases.TO), ("subject", phrases.SUBJECT))
}  # fmt: skip
_LABEL_FIRST = re.compile(rf"^[\s*|]*(?:{_words((*phrases.FROM, *phrases.SENT))})\*{{0,2}}\s?[:\uff1a]", re.IGNORECASE)
_MOBILE = re.compile(rf"^\s*(?:(?:{_words(phrases.MOBILE)})(?!\w)|{_words(phrases.MOBILE_UNSPACED)})", re.IGNORECASE)
_IN_DASHES = re.compile(r"^\s*[-_=]{3,}[^\n]{2,80}[-_=]{3,}\s*$")
_PROSE = re.compile(r"[,;!?]|\S\s+(?:\S+\s+){10}")
_LINK = re.compile(r"<[^<>]{1,500}>|\([^()]{1,300}\)|https?://\S+")
_DELIMITER = re.compile(r"^--\s*$")
_FOOTER = re.compile(r"^_{2,}\s*$")
_REFERS = re.compile(r"https?://|@")
_FOOTER_LINES = 6


@dataclass
class _Pile:
    """What was sorted so far; `marks` says of each line that it is the sender's own."""

    own: list[str] = field(default_factory=list[str])
    quoted: list[str] = field(default_factory=list[str])
    blocks: int = 0
    answers: int = 0
    is_forward: bool = False


def separate(text: str, *, is_reply: bool = False) -> Separated:
    """Sort the lines of a text. Cannot raise; linear in the text.

    Gives: everything in `text`, when nothing else would be left in it. Where answers stand between quoted lines, `quoted` is the whole
           as it was written, so that people see what was answered.
    """
    lines = text.split("\n")
    if len(lines) > _READ_LINES:
        return Separated(text)
    pile = _sort(list(lines), is_reply=is_reply)
    if not pile.quoted and is_reply:
        _take_trailing_quote(pile)
    own, signature = _unsigned(pile.own)
    words = "\n".join(own).strip("\n")
    if not words.strip():
        return Separated(text.strip("\n"), is_forward=pile.is_forward)
    is_woven = pile.blocks > 1 and pile.answers > 1
    quoted = "\n".join(lines if is_woven else pile.quoted).strip("\n")
    return Separated(words.rstrip(), quoted, "\n".join(signature).strip(), pile.is_forward)


def _sort(lines: list[str], *, is_reply: bool) -> _Pile:
    pile = _Pile()
    at = 0
    while at < len(lines):
        if _FORWARDED.match(lines[at]) and not pile.quoted:
            # What somebody sends on is what they want to say: it stays with their own words, and is told apart by the remark.
            pile.own += lines[at:]
            pile.is_forward = True
            break
        if (
            (shared := _SHARED_LINE.search(lines[at]))
            and shared.start()
            and _wrote([lines[at][shared.end() :], *lines[at + 1 : at + 9]], 0, is_reply=is_reply)[0]
        ):
            pile.own.append(lines[at][: shared.start()])
            lines[at] = lines[at][shared.start() :].lstrip("- ")
        length, is_rest = _header(lines, at, is_reply=is_reply)
        if is_rest:
            pile.quoted += lines[at:]
            pile.blocks += 1
            break
        if length or (pile.quoted and _QUOTE.match(lines[at])):
            stop = _end_of_quote(lines, at + length)
            pile.quoted += lines[at:stop]
            pile.blocks += 1
            at = stop
            continue
        if pile.quoted and lines[at].strip():
            pile.answers += not pile.own or not pile.own[-1].strip() or _QUOTE.match(lines[at - 1]) is not None
        pile.own.append(lines[at])
        at += 1
    return pile


def _header(lines: Sequence[str], at: int, *, is_reply: bool) -> tuple[int, bool]:
    """How many lines say that a quote begins here, and whether all that follows is quoted. None: `(0, False)`."""
    line = lines[at]
    if not line.strip() or len(line) > 2 * _HEADER_CHARACTERS or _QUOTE.match(line):
        return 0, False
    if _ORIGINAL.match(line) or _DASHED_WROTE.match(line) or (_IN_DASHES.match(line) and _quote_follows(lines, at + 1)):
        return 1, not _quote_follows(lines, at + 1)
    if (_RULE.match(line) or _IN_DASHES.match(line)) and (size := _block(lines, at + 1)):
        return 1 + size, not _quote_follows(lines, at + 1 + size)
    if _LABEL_FIRST.match(line) and (size := _block(lines, at)):
        return size, not _quote_follows(lines, at + size)
    return _wrote(lines, at, is_reply=is_reply)


def _wrote(lines: Sequence[str], at: int, *, is_reply: bool) -> tuple[int, bool]:
    """`On <date>, <somebody> wrote:`, over as many lines as mail programs fold it into.

    Where no marked line follows, prose may look like it: then it must name an address, or a time of the clock in what is an answer.
    """
    first = lines[at]
    if not _may_begin(first, lines[at + 1 : at + 2]):
        return 0, False
    joined = ""
    for size in range(1, min(_HEADER_LINES, len(lines) - at) + 1):
        joined = f"{joined} {lines[at + size - 1].strip()}".strip()
        if len(joined) > _HEADER_CHARACTERS or (
            size > 1 and not lines[at + size - 1].strip() and not lines[at + size - 2].strip()
        ):
            return 0, False
        if not _is_header(joined, lines, at + size):
            continue
        if _quote_follows(lines, at + size):
            return size, False
        return (size, True) if _ADDRESS.search(joined) or (is_reply and _CLOCK.search(joined)) else (0, False)
    return 0, False


def _may_begin(first: str, then: Sequence[str]) -> bool:
    """A date or an address is in the first line, or the name alone, and its address below it."""
    if re.search(r"\d|@", first):
        return bool(
            _LEAD.match(first) or _DATE_FIRST.match(first) or _ADDRESS.search(first) or _ENDS_HEADER.search(first)
        )
    return len(first) <= _NAME_CHARACTERS and any(line.startswith("<") and _ADDRESS.search(line) for line in then)


def _is_header(joined: str, lines: Sequence[str], after: int) -> bool:
    has_address = bool(_ADDRESS.search(joined))
    dated = bool(_YEAR.search(joined) or _TIME.search(joined))
    if not _ENDS_HEADER.search(joined):
        return bool(_DATE_FIRST.match(joined)) and has_address and joined.endswith(">") and _quote_follows(lines, after)
    if _VERB.search(joined):
        return dated or has_address
    ends_in_address = joined.rstrip(" :\uff1a").endswith((">", ")"))
    is_marked = _quote_follows(lines, after) and (has_address or bool(_YEAR.search(joined) and _CLOCK.search(joined)))
    return is_marked or bool(_DATE_FIRST.match(joined) and has_address and ends_in_address)


def _quote_follows(lines: Sequence[str], at: int) -> bool:
    return next((bool(_QUOTE.match(line)) for line in lines[at : at + 4] if line.strip()), False)


def _end_of_quote(lines: Sequence[str], at: int) -> int:
    """The first line after a marked quote: past its empty lines, and past a line that was broken in two on the way."""
    stop = at
    while stop < len(lines) and (_QUOTE.match(lines[stop]) or not lines[stop].strip() or _is_broken_off(lines, stop)):
        stop += 1
    return stop


def _is_broken_off(lines: Sequence[str], at: int) -> bool:
    """The rest of a quoted line, which the next program folded without its mark."""
    if not (0 < at < len(lines) - 1 and _QUOTE.match(lines[at - 1]) and _QUOTE.match(lines[at + 1])):
        return False
    before, line = lines[at - 1].rstrip(), lines[at].strip()
    if " " not in line and re.search(r"https?://\S+$", before):
        return True
    return len(before) >= 65 and before[-1] not in ".?!:" and not line[0].isupper() and not line.startswith(("-", "*"))


def _block(lines: Sequence[str], at: int) -> int:
    """How many lines the head of a quoted mail takes here (From, Sent, To, Subject in any language); none when it is none."""
    while at < len(lines) and not lines[at].strip():
        return 0
    if at >= len(lines) or not _LABEL_FIRST.match(lines[at]):
        return 0
    rows: list[str] = []
    for line in lines[at : at + _BLOCK_LINES]:
        if not line.strip():
            if len(rows) > 1:
                break
            continue
        rows.append(line[:_HEADER_CHARACTERS])
    joined = "\n".join(rows)
    kinds = [kind for kind, label in _LABELS.items() if label.search(joined)]
    has_address, is_dated = bool(_ADDRESS.search(joined)), bool(re.search(r"\d", joined))
    from_first = bool(_LABELS["from"].match(rows[0].lstrip(" |*")))
    enough = has_address and is_dated and len(kinds) >= 2
    enough = enough or (
        from_first
        and {"from", "sent", "to", "subject"} <= set(kinds)
        and bool(_TIME.search(joined) or _YEAR.search(joined))
    )
    enough = enough or (from_first and has_address and {"from", "to", "subject"} <= set(kinds))
    return len(rows) if enough else 0


def _take_trailing_quote(pile: _Pile) -> None:
    """Marked lines that end an answer without a line above them that says whose they are."""
    own = pile.own
    stop = len(own)
    while stop and not own[stop - 1].strip():
        stop -= 1
    start = stop
    while start and (_QUOTE.match(own[start - 1]) and not _DEEP_ARROWS.search(own[start - 1])):
        start -= 1
    if stop - start >= 2 and any(line.strip() for line in own[:start]):
        pile.quoted = own[start:stop]
        pile.blocks = 1
        del own[start:]


def _unsigned(own: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words without what they are signed with: after `-- `, or the line of a telephone at their end."""
    kept = list(own)
    signature: list[str] = []
    for number in range(len(kept) - 1, max(-1, len(kept) - _SIGNATURE_LINES - 2), -1):
        after = kept[number + 1 :]
        is_footer = _FOOTER.match(kept[number]) and len(after) <= _FOOTER_LINES and any(map(_REFERS.search, after))
        if is_footer or _DELIMITER.match(kept[number]):
            signature = kept[number:]
            kept = kept[:number]
            break
    while kept and not kept[-1].strip():
        kept.pop()
    if kept and _MOBILE.match(kept[-1]) and not _PROSE.search(_LINK.sub("", kept[-1])):
        signature = [kept.pop(), *signature]
    if len("\n".join(signature)) > SIGNATURE_CHARACTERS:
        return list(own), []
    return kept, signature
