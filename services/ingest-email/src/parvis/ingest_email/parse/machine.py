"""The fields of a mail in, the fact that shows a machine wrote it out, or none. Pure; no I/O."""

import re

from parvis.ingest_email.parse.headers import Headers, first_address
from parvis.ingest_email.tables import AUTOMATIC_HEADERS, ROBOTS

AUTO_REPLIED = "auto-replied"
_BULK = frozenset({"bulk", "list", "junk", "auto_reply", "auto-reply"})
_REPORT = re.compile(
    r"^\s*(?:multipart/report|message/(?:delivery-status|disposition-notification|feedback-report))\b", re.IGNORECASE
)
# Subjects of mail systems that set no header: each is the fixed wording of one of them, never a citizen's.
_SUBJECT = re.compile(
    r"^(?:undeliver(?:able|ed)(?: mail| message)?(?: returned to sender)?\b|delivery status notification\b|"
    r"mail delivery (?:failed|failure|system|status report)|delivery (?:failure|has failed|report|notification)\b|"
    r"failure notice$|returned mail\b|mail system error\b|message delivery failure|non remis\s?:|"
    r"complaint about message from|nondeliverable mail|warning: (?:could not send|message still undelivered)|"
    r"(?:automatic reply|auto(?:matic)?[- ]?reply|out of (?:the )?office|autoreply|réponse automatique|absence du bureau|"
    r"abwesenheitsnotiz|automatische antwort|respuesta automática|risposta automatica|resposta automática)\b)",
    re.IGNORECASE,
)


def machine_sign(headers: Headers) -> str | None:
    """The first of RFC 3834's signs, then of the world's habits; a short code for the desk and the logs.

    X-Auto-Response-Suppress is none of them: it asks for silence, it does not prove a machine (sisimai#491).
    """
    checks = (_rfc_3834, _of_a_list, _report, _own_header, _robot, _wording)
    return next((sign for sign in (check(headers) for check in checks) if sign), None)


def is_robot(address: str) -> bool:
    """Whether an address is one that only machines write from."""
    local = re.sub(r"[^a-z]", "", address.lower().partition("@")[0].partition("+")[0])
    return local in ROBOTS or local.startswith(("noreply", "donotreply", "mailerdaemon", "bounce"))


def _rfc_3834(headers: Headers) -> str | None:
    submitted = headers.raw("auto-submitted").partition(";")[0].strip().lower()
    if submitted and submitted != "no":
        return AUTO_REPLIED if submitted.startswith("auto-replied") else "auto-submitted"
    if headers.raw("precedence").strip().lower() in _BULK:
        return "precedence"
    return "null-sender" if headers.raw("return-path").strip() == "<>" else None


def _of_a_list(headers: Headers) -> str | None:
    return "list" if any(name.startswith("list-") for name, _ in headers.fields) else None


def _report(headers: Headers) -> str | None:
    return "report" if _REPORT.match(headers.raw("content-type")) else None


def _own_header(headers: Headers) -> str | None:
    return "automatic-header" if any(headers.has(name) for name in AUTOMATIC_HEADERS) else None


def _robot(headers: Headers) -> str | None:
    written_by = (first_address(headers.raw(name)[:2000])[0] for name in ("from", "return-path", "sender"))
    return "robot-address" if any(is_robot(address) for address in written_by if address) else None


def _wording(headers: Headers) -> str | None:
    return "wording" if _SUBJECT.match(headers.text("subject", 200)) else None
