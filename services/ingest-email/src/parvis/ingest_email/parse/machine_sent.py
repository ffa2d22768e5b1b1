"""Detects from its headers that a mail was sent by a machine (RFC 3834 and common practice). Pure; no I/O."""

import re

from parvis.ingest_email.codes.machine_senders import (
    AUTOMATIC_HEADERS,
    AUTOMATIC_SUBJECTS,
    AUTOMATIC_VALUES,
    ROBOTS,
    SYSTEM_NAMES,
    SYSTEM_SUBJECTS,
)
from parvis.ingest_email.parse.mime.headers import Headers

AUTO_REPLIED = "auto-replied"
_BULK = frozenset({"bulk", "list", "junk", "auto_reply", "auto-reply"})
_COMMENT = re.compile(r"\([^()]*\)")
_MARK = re.compile(r"^\s*(?:\[[^\]]{1,40}\]|\*{2,5}[^*]{1,40}\*{2,5})\s*")
_ROBOTS = (
    "noreply",
    "donotreply",
    "nepasrepondre",
    "mailerdaemon",
    "bounce",
    "dmarcreport",
    "autoreply",
    "autorespond",
)
_BEHIND = ":：([-–—.,;!|"
_NO_LETTER = re.compile(r"[^a-z]")
_NULL = re.compile(r"<\s*>")
_REPORT = re.compile(
    r"^\s*(?:multipart/report|message/(?:delivery-status|disposition-notification|feedback-report))\b", re.IGNORECASE
)


def find_machine_reason(headers: Headers) -> str | None:
    """The first of RFC 3834's signs, then of the world's habits; a short code for the desk and the logs.

    X-Auto-Response-Suppress is none of them: it asks for silence, it does not prove a machine (sisimai#491).
    """
    checks = (_rfc_3834, _mailing_list, _report, _automatic_header, _machine_address, _automatic_subject)
    return next((sign for sign in (check(headers) for check in checks) if sign), None)


def is_machine_address(address: str) -> bool:
    """Whether an address is one that only machines write from."""
    local = _letters_only(address.partition("@")[0].partition("+")[0])
    return local in ROBOTS or local.startswith(_ROBOTS) or local.endswith(("noreply", "donotreply"))


def _letters_only(text: str) -> str:
    return _NO_LETTER.sub("", text.lower())


def _rfc_3834(headers: Headers) -> str | None:
    submitted = [_first_word(value) for value in headers.all_raw("auto-submitted")]
    values = [word for word in submitted if word not in ("", "no")]
    if values:
        return AUTO_REPLIED if values[0].startswith("auto-replied") else "auto-submitted"
    if any(_first_word(value) in _BULK for value in headers.all_raw("precedence")):
        return "precedence"
    return "null-sender" if _NULL.fullmatch(headers.raw("return-path").strip()) else None


def _first_word(value: str) -> str:
    """The word of a field, without parameters and comments."""
    return _COMMENT.sub(" ", value[:1000]).partition(";")[0].strip().lower()


def _mailing_list(headers: Headers) -> str | None:
    return "list" if any(name.startswith("list-") for name, _ in headers.fields) else None


def _report(headers: Headers) -> str | None:
    return "report" if _REPORT.match(headers.raw("content-type")) else None


def _automatic_header(headers: Headers) -> str | None:
    named = any(headers.has(name) for name in AUTOMATIC_HEADERS)
    valued = any(headers.raw(name)[:200].strip().lower().startswith(value) for name, value in AUTOMATIC_VALUES)
    return "automatic-header" if named or valued else None


def _machine_address(headers: Headers) -> str | None:
    """Also a mail system that gives only its name, or nothing at all, in From."""
    written_by = [headers.address(name) for name in ("from", "return-path", "sender")]
    named = any(is_machine_address(address) for address, _ in written_by if address)
    raw = headers.raw("from")[:200].strip()
    nameless = bool(_NULL.search(raw)) or ("@" not in raw and _letters_only(raw) in ROBOTS)
    return "robot-address" if named or nameless or _letters_only(written_by[0][1]) in SYSTEM_NAMES else None


def _automatic_subject(headers: Headers) -> str | None:
    """Fixed subjects of mail systems that set no header; behind a mark such as [SPAM] too, behind `Fwd:` never."""
    subject = _MARK.sub("", headers.text("subject", 200).lower().replace("’", "'"), count=1).strip()
    if subject.startswith(SYSTEM_SUBJECTS):
        return "wording"
    begins = (subject[len(words) :].lstrip() for words in AUTOMATIC_SUBJECTS if subject.startswith(words))
    return "wording" if any(not rest or rest[0] in _BEHIND for rest in begins) else None
