"""Parses the machine-readable parts of reports (RFC 3464, 5965, 8098). Pure; no I/O."""

import json
import re
from collections.abc import Callable, Sequence
from typing import cast

from parvis.ingest_email.models.parsed_mail import ReportedRecipient
from parvis.ingest_email.parse.bounce.diagnosis import classify_failure, find_reply_code, find_status, is_vague
from parvis.ingest_email.parse.mime.headers import Headers, first_address, parse_headers

MAX_RECIPIENTS = 100
_ACTIONS = ("failed", "delayed", "delivered", "relayed", "expanded")
_LONGEST_NOTICE = 64 * 1024
_NOTICE_FIELDS = (
    ("final-recipient", "emailAddress"),
    ("action", "action"),
    ("status", "status"),
    ("diagnostic-code", "diagnosticCode"),
)
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_UNICODE = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")
_WORD = re.compile(r"[a-z-]{1,20}")
_RECIPIENT = ("final-recipient", "original-recipient", "x-actual-recipient")


def parse_recipients(text: str, text_of: Callable[[str], str]) -> list[ReportedRecipient]:
    """One recipient for each block of a delivery status; blocks without an address are skipped."""
    blocks = {
        address.lower(): (address, fields) for fields in _field_groups(text) if (address := _recipient_address(fields))
    }
    recipients = list(blocks.values())[:MAX_RECIPIENTS]
    return [
        _build_recipient(fields, address, text_of(address if len(recipients) > 1 else ""))
        for address, fields in recipients
    ]


def has_delivery_status(text: str) -> bool:
    """Whether a text holds the fields of a delivery status, whatever it is called."""
    return any(fields.has("final-recipient") or fields.has("original-recipient") for fields in _field_groups(text))


def parse_complaint(text: str) -> tuple[str, list[ReportedRecipient]]:
    """Return the type of a complaint (RFC 5965 §3) and the recipients that it names."""
    fields = [field for block in _field_groups(text) for field in block.fields]
    all_fields = Headers(tuple(fields))
    named = [*all_fields.all_raw("original-rcpt-to"), *all_fields.all_raw("removal-recipient")]
    addresses = dict.fromkeys(filter(None, (_parse_typed_address(value) for value in named)))
    return _registered_keyword(all_fields.raw("feedback-type")), [
        ReportedRecipient(address=address, action="delivered") for address in addresses
    ]


def parse_disposition(text: str) -> tuple[str, str, list[ReportedRecipient]]:
    """Return disposition, Message-ID and recipient of a read receipt (RFC 8098 §3.2)."""
    fields = Headers(tuple(field for block in _field_groups(text) for field in block.fields))
    disposition = _registered_keyword(fields.raw("disposition").rpartition(";")[2].partition("/")[0])
    address = _parse_typed_address(fields.raw("final-recipient")) or _parse_typed_address(
        fields.raw("original-recipient")
    )
    named = next(iter(fields.ids("original-message-id")), "")
    return disposition, named, [ReportedRecipient(address=address, action="delivered")] if address else []


def parse_provider_notice(text: str) -> list[ReportedRecipient]:
    """Return the recipients of an Amazon SES notification in JSON."""
    notice = _decode_json(text)
    inner = _member(notice, "Message")
    notice = _decode_json(inner) if isinstance(inner, str) else notice
    bounced = _as_list(_member(_member(notice, "bounce"), "bouncedRecipients"))
    complained = _as_list(_member(_member(notice, "complaint"), "complainedRecipients"))
    delivered = [
        {"emailAddress": entry, "action": "delivered"}
        for entry in _as_list(_member(_member(notice, "delivery"), "recipients"))
    ]
    recipients: list[ReportedRecipient] = []
    for entry in [*bounced, *complained, *delivered]:
        fields = [(name, str(_member(entry, key) or "")) for name, key in _NOTICE_FIELDS]
        head = Headers(tuple((name, value.encode("utf-8", "replace")) for name, value in fields if value))
        if address := _recipient_address(head):
            recipients.append(_build_recipient(head, address, ""))
    return recipients


def _field_groups(text: str) -> Sequence[Headers]:
    """Groups of fields between empty lines."""
    groups = text.replace("\r\n", "\n").split("\n\n")[: 2 * MAX_RECIPIENTS]
    return [parse_headers(group.encode("utf-8", "replace") + b"\n\n") for group in groups if ":" in group]


def _decode_json(text: str) -> object:
    """Parse JSON; sendmail breaks long lines with `!`, line feed and space."""
    start = text.lstrip()[:_LONGEST_NOTICE].replace("!\n ", "")
    try:
        return json.JSONDecoder(strict=False).raw_decode(start)[0] if start.startswith("{") else None
    except (ValueError, RecursionError):
        return None


def _member(value: object, name: str) -> object:
    return cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None


def _as_list(value: object) -> list[object]:
    return cast("list[object]", value)[:MAX_RECIPIENTS] if isinstance(value, list) else []


def _recipient_address(fields: Headers) -> str:
    return next(filter(None, (_parse_typed_address(fields.raw(name)) for name in _RECIPIENT)), "")


def _parse_typed_address(value: str) -> str:
    """`rfc822; a@b`, with or without the type, brackets or a comment; in xtext (RFC 3461 §4) or utf-8 (RFC 6533)."""
    kind, separator, rest = value[:1000].partition(";")
    address = (rest if separator else kind).strip()
    if "+" in address and "@" not in address:
        address = _XTEXT.sub(lambda match: chr(int(match[1], 16)), address)
    if kind.strip().lower() == "utf-8":
        address = _UNICODE.sub(lambda match: _character(match[1]), address)
    return first_address(address)[0] or address.strip("<>\"' ")[:320]


def _registered_keyword(text: str) -> str:
    """Return a keyword of the form that RFCs register, else an empty string."""
    match = _WORD.fullmatch(text.strip().lower())
    return match[0] if match else ""


def _character(digits: str) -> str:
    value = int(digits, 16)
    return chr(value) if value < 0x110000 and not 0xD800 <= value < 0xE000 else "\N{REPLACEMENT CHARACTER}"


def _build_recipient(fields: Headers, address: str, explanation: str) -> ReportedRecipient:
    diagnosis = " ".join(value.partition(";")[2] or value for value in fields.all_raw("diagnostic-code"))
    action = fields.raw("action").strip().lower()
    action = next(
        (known for known in _ACTIONS if action.startswith(known)), "delayed" if "delay" in action else "failed"
    )
    declared, answered = find_status(fields.raw("status")), find_status(diagnosis or explanation)
    status = answered if answered and (diagnosis or is_vague(declared)) else declared
    code = find_reply_code(diagnosis or explanation)
    failed = action in ("failed", "delayed")
    failure = classify_failure(diagnosis, status, code, explanation=explanation) if failed else None
    if failed and fields.raw("x-powermta-bouncecategory").strip().lower() in ("bad-mailbox", "bad-domain"):
        failure = "permanent"
    return ReportedRecipient(address=address, action=action, status=status, reply_code=code, failure=failure)
