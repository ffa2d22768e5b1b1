"""Detects from its headers that a mail was sent by a machine (RFC 3834 and common practice). Pure; no I/O."""

import re
from collections.abc import Sequence

from parvis.common.contract.references import find_references
from parvis.ingest_email.codes.machine_senders import (
    ABSENCES,
    AUTOMATIC_HEADERS,
    AUTOMATIC_SUBJECTS,
    AUTOMATIC_VALUES,
    OWN_SUBJECTS,
    REFUSALS,
    ROBOTS,
    SYSTEM_NAMES,
    SYSTEM_SUBJECTS,
)
from parvis.ingest_email.parse.mime.headers import Headers, list_thread_ids

AUTO_REPLIED = "auto-replied"
_BULK = frozenset({"bulk", "list", "junk", "auto_reply", "auto-reply"})
_COMMENT = re.compile(r"\([^()]*\)")
_MARK = re.compile(r"^\s*(?:\[([^\]]{1,40})\]|\*{2,5}([^*]{1,40})\*{2,5}|\(([^)]{1,40})\))\s*")
_SENT_ON = re.compile(r"(?:fwd?|tr|wg|i|rv|enc|vs)\s?:", re.IGNORECASE)
_SEPARATOR = re.compile(r"[._\-+=0-9]")
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
    """Whether an address is one that only machines write from; a beginning of a word is no word: `bouncer` is a trade."""
    local = address.rpartition("@")[0].lower()
    words = [word for word in _SEPARATOR.split(local) if word]
    ends = range(1, len(words) + 1)
    joined = {"".join(words[:end]) for end in ends} | {"".join(words[-end:]) for end in ends}
    return bool(joined & set(ROBOTS)) or any(words in _letters_only(local) for words in REFUSALS)


def _letters_only(text: str) -> str:
    return _NO_LETTER.sub("", text.lower())


def _is_sent_on_by_rule(headers: Headers) -> bool:
    """Whether a rule of an Exchange mailbox sent on what somebody wrote; Exchange marks that like its own absence notes.

    The parent of a note is the mail that it answers; what is sent on answers its parent in no field.
    """
    source = headers.raw("x-ms-exchange-generated-message-source").strip().lower()
    parents = headers.ids("x-ms-exchange-parent-message-id")
    by_rule = source == "mailbox rules agent"
    if not by_rule or set(parents) & set(list_thread_ids(headers)):
        return False
    owner = headers.address("x-ms-exchange-inbox-rules-loop")[0].lower()
    is_another_persons = bool(owner) and owner != headers.address("from")[0].lower()
    return is_another_persons or _SENT_ON.match(headers.text("subject", 200)) is not None


def _rfc_3834(headers: Headers) -> str | None:
    submitted = [_first_word(value) for value in headers.all_raw("auto-submitted")]
    values = [word for word in submitted if word not in ("", "no")]
    if values and not (set(values) == {"auto-generated"} and _is_sent_on_by_rule(headers)):
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
    made = headers.has("x-ms-exchange-generated-message-source") and not _is_sent_on_by_rule(headers)
    return "automatic-header" if named or valued or made or _is_own_loop(headers) else None


def _is_own_loop(headers: Headers) -> bool:
    """Whether the writer itself set X-Loop; a hop that sends mail on names its own address there."""
    named = headers.address("x-loop")[0].lower()
    return headers.has("x-loop") and named in ("", headers.address("from")[0].lower())


def _machine_address(headers: Headers) -> str | None:
    """Also a mail system that gives only its name, or nothing at all, in From."""
    written_by = [headers.address(name) for name in ("from", "return-path", "sender")]
    named = any(is_machine_address(address) for address, _ in written_by if address)
    raw = headers.raw("from")[:200].strip()
    nameless = bool(_NULL.search(raw)) or ("@" not in raw and _letters_only(raw) in ROBOTS)
    return "robot-address" if named or nameless or _letters_only(written_by[0][1]) in SYSTEM_NAMES else None


def _automatic_subject(headers: Headers) -> str | None:
    """Fixed subjects of mail systems that set no header; behind or in a mark such as [SPAM] too, behind `Fwd:` never."""
    subject = headers.text("subject", 200).lower().replace("’", "'").strip()
    mark = _MARK.match(subject)
    marked = next((words.strip() for words in mark.groups() if words), "") if mark else ""
    subject = subject[mark.end() :].strip() if mark else subject
    if marked in AUTOMATIC_SUBJECTS or subject.startswith(SYSTEM_SUBJECTS):
        return "wording"
    if any(not rest or rest[0] in _BEHIND for rest in _rests_behind(AUTOMATIC_SUBJECTS, subject)):
        return "wording"
    absences = (rest for rest in _rests_behind(ABSENCES, subject) if rest[:1] in (":", "："))
    return "wording" if any(_is_subject_of_ours(rest.lstrip(":： ")) for rest in absences) else None


def _rests_behind(beginnings: Sequence[str], subject: str) -> list[str]:
    return [subject[len(words) :].lstrip() for words in beginnings if subject.startswith(words)]


def _is_subject_of_ours(subject: str) -> bool:
    """Whether a subject is one that the town gives its own mails: it holds a reference, or begins as our notices do."""
    return bool(find_references(subject.upper())) or subject.startswith(OWN_SUBJECTS)
