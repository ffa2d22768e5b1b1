"""Extracts recipients and diagnoses from reports that are written for people only. Pure; no I/O."""

import re
from collections.abc import Iterable, Sequence

from parvis.ingest_email.codes.bounce_phrases import (
    COMPLAINTS,
    GIVEN_UP,
    NOT_YET,
    OTHER_WORDS,
    RECIPIENT_WORDS,
    RETURNED,
)
from parvis.ingest_email.models.parsed_mail import ReportedRecipient
from parvis.ingest_email.parse.bounce.diagnosis import classify_failure, find_reply_code, find_status

MOST_LINES = 400
LONGEST_LINE = 500
ADDRESS = re.compile(
    r"(?:\"[^\"\s]{1,64}\"|[\w.!#$%&'*+/=?^`{|}~-]{1,64})@(?:\[[0-9.]{7,15}\]|[\w-]{1,63}(?:\.[\w-]{1,63}){0,8})"
)
_FIRST = re.compile(r"[\s>*\"'<(\[\d.)•-]{0,16}(?:[245]\d\d[ -](?:[245]\.\d{1,3}\.\d{1,3} )?)?[<\"'(]{0,3}$")
_FIELD = re.compile(
    r"(received|return-path|message-id|mime-version|dkim-signature|x-received|delivered-to):", re.IGNORECASE
)
_ANSWER = re.compile(r"(?:\b[45]\d\d[ -]|#)[45]\.\d{1,3}\.\d{1,3}\b")
_DASHES = " \t-=*#_.>|:+~"
_LOCAL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#$%&*+/=?^_`{|}~-"
_ROBOTS = ("mailer-daemon@", "postmaster@")


def split_returned_mail(text: str) -> tuple[str, str]:
    """Split a text into the report and the returned mail after it, if any."""
    rows = text.split("\n")
    for number, row in enumerate(rows[:MOST_LINES]):
        plain = row[:200].strip(_DASHES).lower()
        if _FIELD.match(row) or any(plain.startswith(words) for words in RETURNED):
            behind = number if _FIELD.match(row) else number + 1
            return "\n".join(rows[:number]), "\n".join(rows[behind:]).lstrip("\n")
    return text, ""


def says_undelivered(text: str) -> bool:
    """Whether a text states, in any known language or by a status code, that a mail did not arrive."""
    return bool(_contains_any(text[:4000], GIVEN_UP) or _ANSWER.search(text[:4000]))


def is_complaint(subject: str) -> bool:
    return _contains_any(subject, COMPLAINTS)


def is_delay(text: str) -> bool:
    return _contains_any(text[:4000], NOT_YET)


def find_recipients(
    text: str, *, others: Iterable[str], returned_to: Sequence[str], failed: Sequence[str]
) -> list[ReportedRecipient]:
    """Extract the recipients of a report in prose and the diagnosis of each.

    Shape:  `others`, who is certainly not meant: the writer of the report and of the mail; `returned_to`, whom the returned
            mail was for; `failed`, what a header names.
    """
    known = frozenset(address.lower() for address in others)
    chosen = _choose_addresses(_rank_addresses(_text_lines(text), known), failed, returned_to) or [""]
    action = "delayed" if is_delay(text) else "failed"
    return [
        _build_recipient(address, action, text_about(address, text) if len(chosen) > 1 else text, text)
        for address in chosen
    ]


def _rank_addresses(rows: Sequence[str], others: frozenset[str]) -> list[tuple[str, int, int]]:
    """`(address, row, rank)` of each address in the text: 0 begins its line, 1 follows a word for recipient, 2 stands anywhere."""
    ranked: list[tuple[str, int, int]] = []
    for number, row in enumerate(rows):
        if "@" not in row:
            continue
        for match in list(ADDRESS.finditer(row))[:20]:
            address = match[0].strip(".'").lower()
            before = row[: match.start()]
            if address in others or address.startswith(_ROBOTS) or _contains_any(before[-40:], OTHER_WORDS):
                continue
            rank = 0 if _FIRST.fullmatch(before) else 1 if _contains_any(before[-60:], RECIPIENT_WORDS) else 2
            ranked.append((address, number, rank))
    return ranked


def _choose_addresses(
    ranked: Sequence[tuple[str, int, int]], failed: Sequence[str], returned_to: Sequence[str]
) -> list[str]:
    """Choose the failed addresses: those of a header, else the best-ranked in the text, else the recipients of the returned mail."""
    if failed:
        return list(dict.fromkeys(address.lower() for address in failed))
    to = frozenset(address.lower() for address in returned_to)
    named = list(dict.fromkeys(address for address, _, rank in ranked if rank == 0))
    if not named:
        named = list(dict.fromkeys(address for address, _, rank in ranked if rank == 1))
    if not named or (to and not to & set(named)):
        anywhere = list(dict.fromkeys(address for address, _, _ in ranked if address in to))
        named = anywhere or named
    if named:
        return named
    best = list(dict.fromkeys(address for address, _, _ in ranked))[:1]
    return best or list(dict.fromkeys(address.lower() for address in returned_to))


def _build_recipient(address: str, action: str, diagnosis: str, text: str) -> ReportedRecipient:
    status, code = find_status(diagnosis), find_reply_code(diagnosis)
    failure = classify_failure(diagnosis, status, code, explanation=text)
    return ReportedRecipient(address=address, action=action, status=status, reply_code=code, failure=failure)


def text_about(address: str, text: str) -> str:
    """Return the part of a text about one recipient; the complete text if it does not name the recipient."""
    rows = _text_lines(text)
    row_numbers = [number for number, row in enumerate(rows) if address and address.lower() in row.lower()][:20]
    return "\n".join(_lines_about(address, rows, row_numbers)) if row_numbers else text


def _text_lines(text: str) -> list[str]:
    return [row[:LONGEST_LINE] for row in text.split("\n")[:MOST_LINES]]


def _lines_about(address: str, rows: Sequence[str], row_numbers: Sequence[int]) -> list[str]:
    """Return the lines that name an address, each with the following lines up to the next address."""
    lines: list[str] = []
    for row_number in row_numbers:
        lines.append(rows[row_number])
        for row in rows[row_number + 1 : row_number + 12]:
            if (
                "@" in row
                and _FIRST.fullmatch(row.partition("@")[0].rstrip(_LOCAL))
                and address.lower() not in row.lower()
            ):
                break
            lines.append(row)
    return lines


def _contains_any(text: str, words: Iterable[str]) -> bool:
    plain = text.lower().replace("’", "'")
    return any(word in plain for word in words)
