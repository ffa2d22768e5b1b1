"""Finds the lines that introduce a quote, in the languages of many mail programs. Pure; no I/O."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from parvis.ingest_email.codes import quote_phrases

LONGEST_LINE = 1000  # no attribution line is longer
_HEADER_LINES = 6
_HEADER_CHARACTERS = 500
_BLOCK_LINES = 9
_BLOCK_CHARACTERS = 160  # of each of its lines
_NAME_CHARACTERS = 60
_ORIGINAL_CHARACTERS = 60


def alternatives(table: Sequence[str]) -> str:
    """Join words to the alternatives of a regular expression, longest first."""
    return "|".join(re.escape(word) for word in sorted(set(table), key=len, reverse=True))


QUOTE = re.compile(r"^\s{0,3}>")
_WROTE = rf"(?:(?<![\w'’])(?:{alternatives(quote_phrases.WROTE)})(?!\w)|{alternatives(quote_phrases.WROTE_UNSPACED)})"
_VERB = re.compile(_WROTE, re.IGNORECASE)
_LAST_VERB = re.compile(rf"{_WROTE}\s?:?$", re.IGNORECASE)
_HEADER_ENDS = (":", "\uff1a", "--", "-_", "_-", "__")
_ADDRESS = re.compile(r"[\w.+'=*-]@[\w-]")
_TIME = re.compile(r"\b\d{1,2}[:.]\d\d\b")
_CLOCK = re.compile(r"\b\d{1,2}:\d\d(?::\d\d)?\b")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b|\b\d{1,2}[./-](?:\d{1,2}|[^\W\d]{3,4}\.?)[./-]\d{2,4}\b|\d{4}年")
_LEAD = re.compile(rf"(?:{alternatives(quote_phrases.LEADS)})(?=[\s,\d.]|$)|在|於|于", re.IGNORECASE)
_DATE_FIRST = re.compile(r"(?:[^\W\d]{2,12}\.?,?\s{1,2})?\d{1,4}[\s./年년-]", re.IGNORECASE)
_ORIGINAL = re.compile(rf"(?:{alternatives(quote_phrases.ORIGINAL)})\b", re.IGNORECASE)
# Samsung's mail program writes the head of the quoted mail behind the dashes.
_ORIGINAL_WITH_HEAD = re.compile(
    rf"\s*[-_]{{2,}}\s*(?:{alternatives(quote_phrases.ORIGINAL)})\s*[-_]{{2,}}\s*(?:{alternatives(quote_phrases.FROM)})\s?[:\uff1a]",
    re.IGNORECASE,
)
# Orange's webmail writes this line above the head of the quoted mail.
_MESSAGE_OF = re.compile(r"[>\s]*message du \d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}\b", re.IGNORECASE)
# A person tells of a letter: no mail program writes such a pronoun before the verb.
_TOLD = re.compile(
    r"(?:\b(?:nous|vous|lui|leur|me|te|on|il|elle|ils|elles|qui|he|she|they|we|i|you|who)\s+(?:\w+\s+)?|\b[mtl]['’])(?:a écrit|ont écrit|wrote|writes|sent)\b",
    re.IGNORECASE,
)
# Without an address a name must stand before the verb; « your colleague wrote » is prose.
_BY_NO_NAME = re.compile(r"(?<![\w.-])[a-zà-ÿ]+,?\s+(?:a écrit|wrote|writes|sent)\s?[:\uff1a]?$")
_FORWARDED = re.compile(rf"(?:{alternatives(quote_phrases.FORWARDED)})(?!\w)", re.IGNORECASE)
_LABELS = {
    kind: re.compile(rf"(?:^|(?<=\s)|(?<=\*))(?:{alternatives(words)})\*{{0,2}}\s?[:\uff1a]", re.IGNORECASE)
    for kind, words in (("from", quote_phrases.FROM), ("sent", quote_phrases.SENT), ("to", quote_phrases.TO), ("subject", quote_phrases.SUBJECT))
}  # fmt: skip
_CORRESPONDENT = re.compile(
    rf"[\s|*]*(?:{alternatives((*quote_phrases.FROM, *quote_phrases.TO))})\*{{0,2}}\s?[:\uff1a]", re.IGNORECASE
)
_LABEL_FIRST = re.compile(
    rf"(?:{alternatives((*quote_phrases.FROM, *quote_phrases.SENT))})\*{{0,2}}\s?[:\uff1a]", re.IGNORECASE
)


@dataclass(frozen=True)
class QuoteMarker:
    """The number of lines that introduce a quote, 0 if none; `is_rest` if everything after them is quoted."""

    lines: int = 0
    is_rest: bool = False


def is_forward(line: str) -> bool:
    """`------ Forwarded message ------`, `Begin forwarded message:`."""
    dashes, words, _ = _strip_dashes(line)
    match = _FORWARDED.match(words)
    return match is not None and (dashes > 1 or words[match.end() :].strip() == ":")


def find_marker(lines: Sequence[str], at: int, *, is_reply: bool) -> QuoteMarker:
    """Find the introduction of a quote at this line: a separator with dashes, a header block or an attribution line.

    If no quoted line follows, ordinary prose can look the same: then it must contain an address or, in a reply, a time of day.
    """
    line = lines[at]
    if not line.strip() or QUOTE.match(line):
        return QuoteMarker()
    before, words, after = _strip_dashes(line)
    is_between = before > 1 and after > 1
    if _ORIGINAL_WITH_HEAD.match(line) and _ADDRESS.search(line):
        return _build_marker(lines, at, 1)
    if _is_original(lines, at, before, words, is_reply=is_reply) or (
        is_between and (_LAST_VERB.search(words[-_HEADER_CHARACTERS:]) or quote_follows(lines, at + 1))
    ):
        return _build_marker(lines, at, 1)
    if before > 2 and (after > 2 or not words) and (size := _header_block_size(lines, at + 1, is_reply=is_reply)):
        return _build_marker(lines, at, 1 + size)
    above = int(_MESSAGE_OF.match(line) is not None)
    if size := _header_block_size(lines, at + above, is_reply=is_reply or above > 0, is_dated_above=above > 0):
        return _build_marker(lines, at, above + size)
    return _find_attribution(lines, at, is_reply=is_reply)


def _is_original(lines: Sequence[str], at: int, before: int, words: str, *, is_reply: bool) -> bool:
    """Whether a line is `--- Original message ---`: in a reply; else only with the head of a mail or a quoted line below it."""
    if before < 2 or len(words) > _ORIGINAL_CHARACTERS or not _ORIGINAL.match(words):
        return False
    if is_reply:
        return True
    below = [line for line in lines[at + 1 : at + _HEADER_LINES] if line.strip()][:3]
    start = next((row for row in range(at + 1, len(lines)) if lines[row].strip()), len(lines))
    return (
        quote_follows(lines, at + 1)
        or any(
            _LABEL_FIRST.match(line.lstrip(" \t|*")) or (_ADDRESS.search(line) and line.endswith(_HEADER_ENDS))
            for line in below
        )
        or bool(_header_block_size(lines, start, is_reply=is_reply))
    )


def is_quoted_header(lines: Sequence[str], at: int) -> bool:
    """Whether the introduction of a quote is itself quoted, as some mail programs write it."""
    rows = [
        QUOTE.sub("", line).strip()
        for line in lines[at : at + _HEADER_LINES + 4]
        if QUOTE.match(line) or not line.strip()
    ]
    return bool(rows) and find_marker(rows, 0, is_reply=True).lines > 0


def find_marker_in_line(lines: Sequence[str], at: int, *, is_reply: bool) -> int:
    """Return the column at which an attribution begins after text and dashes on the same line; 0 if there is none."""
    line = lines[at]
    dashes = line.find("---", 1)
    rest = line[dashes:].lstrip("- ")
    if not line[: max(0, dashes)].strip("- ") or not _LEAD.match(rest):
        return 0
    return (
        dashes if _find_attribution([rest, *lines[at + 1 : at + _HEADER_LINES + 4]], 0, is_reply=is_reply).lines else 0
    )


def _strip_dashes(line: str) -> tuple[int, str, int]:
    """Return the number of dashes before the text of a line, the text, and the number of dashes after it."""
    stripped_line = line.strip(" \t\r*#")
    words = stripped_line.lstrip("-_=\u2014")
    before = len(stripped_line) - len(words)
    stripped = words.rstrip("-_=\u2014")
    return before, stripped.strip(), len(words) - len(stripped)


def _build_marker(lines: Sequence[str], at: int, size: int) -> QuoteMarker:
    return QuoteMarker(size, not quote_follows(lines, at + size))


def _find_attribution(lines: Sequence[str], at: int, *, is_reply: bool) -> QuoteMarker:
    """Find `On <date>, <name> wrote:`, also when wrapped over several lines."""
    if not _may_start_attribution(lines[at].strip(" \t*_-"), lines[at + 1 : at + 2]):
        return QuoteMarker()
    joined, was_empty = "", False
    for size in range(1, min(_HEADER_LINES, len(lines) - at) + 1):
        line = lines[at + size - 1].strip()
        joined = f"{joined} {line}".strip()
        if len(joined) > _HEADER_CHARACTERS or (was_empty and not line):
            break
        was_empty = not line
        if _is_attribution(joined, lines, at + size):
            if any(_starts_later(lines, later, at + size) for later in range(at + 1, at + size)):
                break
            mark = _build_marker(lines, at, size)
            if mark.is_rest and (_TOLD.search(joined) or (not _ADDRESS.search(joined) and _BY_NO_NAME.search(joined))):
                return QuoteMarker()
            is_sure = not mark.is_rest or _ADDRESS.search(joined) or (is_reply and _CLOCK.search(joined))
            return mark if is_sure else QuoteMarker()
    return QuoteMarker()


def _starts_later(lines: Sequence[str], at: int, stop: int) -> bool:
    """Whether the attribution begins at this later line; the lines before it end a signature or are a telephone number."""
    first = lines[at].strip(" \t*_-")
    joined = " ".join(line.strip() for line in lines[at:stop])
    is_dated = _YEAR.search(first) or _TIME.search(first)
    return bool(is_dated and (_LEAD.match(first) or _DATE_FIRST.match(first))) and _is_attribution(joined, lines, stop)


_DIGIT_OR_AT = re.compile(r"[@\d]")


def _may_start_attribution(first: str, then: Sequence[str]) -> bool:
    """Whether a first line has a date or an address, or is a name with an address on the next line."""
    if _DIGIT_OR_AT.search(first):
        return bool(
            first.endswith(_HEADER_ENDS)
            or _DATE_FIRST.match(first)
            or _LEAD.match(first)
            or ("@" in first and _ADDRESS.search(first))
        )
    return len(first) <= _NAME_CHARACTERS and any(line.startswith("<") and _ADDRESS.search(line) for line in then)


def _is_attribution(joined: str, lines: Sequence[str], after: int) -> bool:
    begins_with_date = _DATE_FIRST.match(joined.lstrip(" *")) is not None
    if not joined.endswith(_HEADER_ENDS):
        names = begins_with_date and joined.endswith(">") and _ADDRESS.search(joined)
        return bool(names) and quote_follows(lines, after)
    has_address = _ADDRESS.search(joined) is not None
    if _VERB.search(joined):
        return has_address or bool(_YEAR.search(joined) or _TIME.search(joined))
    if begins_with_date and has_address and joined.rstrip(" :\uff1a").endswith((">", ")")):
        return True
    return quote_follows(lines, after) and (has_address or bool(_YEAR.search(joined) and _CLOCK.search(joined)))


def quote_follows(lines: Sequence[str], at: int) -> bool:
    return next((bool(QUOTE.match(line)) for line in lines[at : at + 4] if line.strip()), False)


def _names_correspondent(rows: Sequence[str]) -> bool:
    """Whether an address stands behind the label of a sender or an addressee, or on the line below it."""
    is_labelled = [bool(_CORRESPONDENT.match(row)) for row in rows]
    return any(
        _ADDRESS.search(row) and (labelled or (above and row.lstrip().startswith(("<", "["))))
        for row, labelled, above in zip(rows, is_labelled, [False, *is_labelled], strict=False)
    )


def _header_block_size(lines: Sequence[str], at: int, *, is_reply: bool, is_dated_above: bool = False) -> int:
    """Count the lines of a quoted header block (From, Sent, To, Subject in any language); 0 if there is none.

    Web forms sent as mail begin with some of these labels but are no replies: outside a reply all four labels are required.
    """
    if at >= len(lines) or not _LABEL_FIRST.match(lines[at].lstrip(" \t|*")):
        return 0
    rows: list[str] = []
    for line in lines[at : at + _BLOCK_LINES]:
        if not line.strip() and len(rows) > 1:
            break
        if line.strip():
            rows.append(line[:_BLOCK_CHARACTERS])
    joined = "\n".join(rows)
    kinds = {kind for kind, label in _LABELS.items() if label.search(joined)}
    if not is_reply and len(kinds) < len(_LABELS):
        return 0
    has_address = _ADDRESS.search(joined) is not None
    if len(kinds) > 1 and _names_correspondent(rows) and (is_dated_above or any(map(str.isdecimal, joined))):
        return len(rows)
    if not _LABELS["from"].match(rows[0].lstrip(" \t|*")) or not {"from", "to", "subject"} <= kinds:
        return 0
    is_dated = "sent" in kinds and bool(_TIME.search(joined) or _YEAR.search(joined))
    return len(rows) if has_address or is_dated else 0
