"""Parses a mail that reports on another mail: structured fields first, free text last. Pure; no I/O."""

from collections.abc import Sequence
from functools import partial

from parvis.ingest_email.models.parsed_mail import MailReport, ReportedRecipient, ReportKind
from parvis.ingest_email.parse.bounce import report_fields, report_text
from parvis.ingest_email.parse.bounce.report_sections import READ_BYTES, ReportSection, parse_sections
from parvis.ingest_email.parse.machine_sent import AUTO_REPLIED, is_machine_address
from parvis.ingest_email.parse.mime.headers import Headers, first_address, parse_headers

_STATUS = ("message/delivery-status", "message/global-delivery-status")
_DISPOSITION = ("message/disposition-notification", "message/global-disposition-notification")
_RETURNED = (
    "message/rfc822",
    "message/global",
    "message/partial",
    "text/rfc822-headers",
    "message/global-headers",
    "message/rfc822-headers",
)
_MARKS = (
    b"/delivery-status",
    b"-delivery-status",
    b"/feedback-report",
    b"disposition-notification",
    b"final-recipient",
)
_READ_CHARACTERS = 32 * 1024


def parse_report(content: bytes, headers: Headers, *, machine_reason: str | None) -> MailReport | None:
    """Parse a mail that reports on another mail.

    Shape:  `machine_reason`, why its header shows that a machine wrote it.
    Gives:  None for a mail that is no report, such as a vacation note.
    """
    if not (machine_reason or _may_be_report(content, headers)):
        return None
    sections = parse_sections(content)
    sections_of_report = [section for section in sections if not section.is_returned]
    explanation, returned = _split_returned(sections)
    about = _reported_message_id(returned, headers)
    report = (
        _structured_report(sections_of_report, explanation, returned, machine_reason)
        or _provider_notice(explanation, returned, headers, machine_reason)
        or _free_text_report(sections_of_report, explanation, returned, headers, machine_reason)
    )
    return report.model_copy(update={"message_id": report.message_id or about}) if report else None


def _structured_report(
    own: Sequence[ReportSection], explanation: str, returned: Headers, machine_reason: str | None
) -> MailReport | None:
    """The report in machine-readable fields (RFC 5965, 8098, 3464), whatever the media type of the part that holds them.

    In a mail that no machine sent, a citizen may have copied the fields: the report is then not marked as structured.
    """
    for section in own:
        if section.media_type == "message/feedback-report":
            return _build_complaint(section.text, returned)
        if section.media_type in _DISPOSITION:
            detail, named, read_by = report_fields.parse_disposition(section.text)
            return MailReport(kind="disposition", recipients=tuple(read_by), detail=detail, message_id=named)
    holding = [
        section.text
        for section in own
        if section.media_type in _STATUS or report_fields.has_delivery_status(section.text)
    ]
    recipients = [
        recipient
        for text in holding
        for recipient in report_fields.parse_recipients(text, partial(report_text.text_about, text=explanation))
    ]
    certain = bool(machine_reason) or any(section.media_type in _STATUS for section in own)
    return (
        MailReport(
            kind=_report_kind(recipients), recipients=tuple(_unique_recipients(recipients)), is_structured=certain
        )
        if recipients
        else None
    )


def _provider_notice(
    explanation: str, returned: Headers, headers: Headers, machine_reason: str | None
) -> MailReport | None:
    """Parse complaints and notices in provider-specific formats."""
    if not machine_reason:
        return None
    if report_text.is_complaint(headers.text("subject", 400)):
        return _build_complaint("", returned)
    noticed = report_fields.parse_provider_notice(explanation)
    return MailReport(kind=_report_kind(noticed), recipients=tuple(noticed)) if noticed else None


def _is_of_a_mail_system(machine_reason: str | None, headers: Headers) -> bool:
    """Whether the attached mail was returned by a mail system and not quoted in an answer."""
    return bool(machine_reason) and (machine_reason != AUTO_REPLIED or is_machine_address(headers.address("from")[0]))


def _may_be_report(content: bytes, headers: Headers) -> bool:
    """Whether a mail can be a report: most are not, and are parsed only once."""
    if report_text.says_undelivered(headers.text("subject", 400)):
        return True
    beginning = content[:READ_BYTES].lower()
    if any(mark in beginning for mark in _MARKS):
        return True
    _, _, body = content[: 2 * _READ_CHARACTERS].replace(b"\r\n", b"\n").partition(b"\n\n")
    return report_text.says_undelivered(body.decode("utf-8", "replace"))


def _split_returned(sections: Sequence[ReportSection]) -> tuple[str, Headers]:
    """Return the explanation and the header of the returned mail."""
    texts: list[str] = []
    for section in sections:
        if section.is_returned or section.media_type in _RETURNED:
            return "\n".join(texts), parse_headers(section.text.lstrip().encode("utf-8", "replace"))
        if section.media_type.startswith("text/"):
            before, behind = report_text.split_returned_mail(section.text[:_READ_CHARACTERS])
            texts.append(before)
            if behind:
                return "\n".join(texts), parse_headers(behind.encode("utf-8", "replace"))
    return "\n".join(texts), Headers(())


def _reported_message_id(returned: Headers, headers: Headers) -> str:
    """Return the Message-ID of the returned mail, else the one in In-Reply-To."""
    named = [
        *returned.ids("message-id"),
        *headers.ids("x-original-message-id"),
        *headers.ids("in-reply-to"),
        *headers.ids("references"),
    ]
    return next(iter(named), "")


def _build_complaint(text: str, returned: Headers) -> MailReport:
    detail, recipients = report_fields.parse_complaint(text)
    for name in ("x-hmxmroriginalrecipient", "to"):
        recipients = recipients or [
            ReportedRecipient(address=address, action="delivered") for address in _field_addresses(returned, name)
        ]
    return MailReport(kind="complaint", recipients=tuple(recipients), detail=detail)


def _free_text_report(
    own: Sequence[ReportSection], explanation: str, returned: Headers, headers: Headers, machine_reason: str | None
) -> MailReport | None:
    """Parse a report that consists of text for people only."""
    is_report = any(section.media_type in _STATUS for section in own)
    came_back = bool(returned.fields) and _is_of_a_mail_system(machine_reason, headers)
    failed = _field_addresses(headers, "x-failed-recipients")
    if not (
        is_report
        or came_back
        or failed
        or report_text.says_undelivered(f"{headers.text('subject', 400)}\n{explanation}")
    ):
        return None
    writers = ((headers, "from"), (headers, "to"), (returned, "from"), (returned, "return-path"))
    others = [address for fields, name in writers for address in _field_addresses(fields, name)]
    named = report_text.find_recipients(
        explanation, others=others, returned_to=_field_addresses(returned, "to"), failed=failed
    )
    return MailReport(kind=_report_kind(named), recipients=tuple(named), is_structured=is_report)


def _report_kind(recipients: Sequence[ReportedRecipient]) -> ReportKind:
    actions = {recipient.action for recipient in recipients}
    if "failed" in actions or not actions:
        return "bounce"
    return "delayed" if "delayed" in actions else "delivered"


def _unique_recipients(recipients: Sequence[ReportedRecipient]) -> list[ReportedRecipient]:
    return list({recipient.address.lower(): recipient for recipient in reversed(recipients)}.values())[::-1]


def _field_addresses(headers: Headers, name: str) -> list[str]:
    addresses = (
        first_address(address)[0] for value in headers.all_raw(name)[:5] for address in value[:4000].split(",")[:50]
    )
    return list(dict.fromkeys(address for address in addresses if "@" in address))
