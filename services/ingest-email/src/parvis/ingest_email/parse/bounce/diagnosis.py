"""Classifies a diagnostic text and its status codes as a failure class. Pure; no I/O."""

import re

from parvis.common.contract.delivery import FailureClass
from parvis.ingest_email.codes.bounce_patterns import (
    AT_CONTENT,
    AT_RECIPIENT,
    AT_SENDER,
    CAUSES,
    CERTAIN,
    CERTAIN_OF,
    CERTAIN_WORDS,
    FAILURE_OF_CAUSE,
    FAILURES,
    NO_PROOF,
)

_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_REPLY = re.compile(r"(?<![\d.#-])([245][0-5]\d)(?![\d.])[ ,;:-]")
_READ_CHARACTERS = 8000
_NO_DETAIL = re.compile(r"[245]\.(?:0\.\d{1,3}|[1245]\.0)$")


def find_status(text: str) -> str:
    """Return the first specific enhanced status code, else the first one."""
    codes = _STATUS.findall(text[:_READ_CHARACTERS])
    return next((code for code in codes if not is_vague(code)), codes[0] if codes else "")


def is_vague(status: str) -> bool:
    """Whether a status code gives no cause, such as 5.0.0."""
    return not status or bool(_NO_DETAIL.match(status))


def find_reply_code(text: str) -> str:
    match = _REPLY.search(text[:_READ_CHARACTERS] + " ")
    return match[1] if match else ""


def classify_failure(diagnosis: str, status: str, reply_code: str, *, explanation: str = "") -> FailureClass:
    """Classify a failure by the remote server's text, then by its codes, then by the surrounding text.

    Shape: `diagnosis` is the answer of the refusing server; `explanation` is text for people.
    Gives: `permanent` only if the address is stated not to exist; an unexplained refusal is `refused`.
    """
    if certain := _provider_cause(diagnosis):
        return FAILURE_OF_CAUSE[certain]
    cause = _worded_cause(diagnosis)
    by_status = _failure_by_status(status)
    if cause is None and by_status is None:
        cause = _worded_cause(explanation)
    if by_status and (cause == "at-recipient" or (cause, by_status) == ("unwanted", "permanent")):
        cause = None  # `5.1.1 rejected`: the code is more specific than the word
    failure = FAILURE_OF_CAUSE[cause] if cause else by_status
    if failure == "permanent" and any(sign in _normalize(diagnosis) for sign in NO_PROOF):
        return "refused"
    if failure == "permanent" and not _is_about_recipient(cause, status, reply_code, f"{diagnosis}\n{explanation}"):
        return "temporary" if status.startswith("4") else "refused"
    return failure or ("temporary" if reply_code.startswith("4") else "refused")


def _is_about_recipient(cause: str | None, status: str, reply_code: str, text: str) -> bool:
    """Whether the address does not exist; temporary failures and refusals of MAIL FROM do not prove that.

    Filters say `user unknown` of contents too, behind DATA, without a status of their own.
    """
    plain = _normalize(text)
    if status.startswith("4") or any(sign in plain for sign in AT_SENDER):
        return False
    if cause not in ("nobody", "at-recipient") or not reply_code or _failure_by_status(status) == "permanent":
        return True
    return any(sign in plain for sign in AT_RECIPIENT) and not any(sign in plain for sign in AT_CONTENT)


def _provider_cause(text: str) -> str | None:
    """Classify by the specific codes and phrases of large providers."""
    plain = _normalize(text)
    coded = CERTAIN_OF.search(plain)
    if not coded:
        return "nobody" if any(words in plain for words in CERTAIN_WORDS) else None
    return dict(CERTAIN).get(coded[1])


def _worded_cause(text: str) -> str | None:
    plain = _normalize(text)
    return next((cause for cause, words in CAUSES if any(word in plain for word in words)), None) if plain else None


def _normalize(text: str) -> str:
    return " ".join(text[:_READ_CHARACTERS].lower().replace("’", "'").split())


def _failure_by_status(status: str) -> FailureClass | None:
    if is_vague(status):
        return None
    return next((failure for prefix, failure in FAILURES if status.startswith(prefix)), None)
