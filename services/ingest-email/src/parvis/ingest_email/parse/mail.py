"""Parses a raw mail into a ParsedMail; the header alone is safe to parse outside the sandbox. Pure; no I/O."""

import re
from collections.abc import Sequence

from parvis.ingest_email.models.parsed_mail import MAX_HEADERS_BYTES, MAX_TEXT_CHARACTERS, MailReport, ParsedMail
from parvis.ingest_email.parse.bounce.report import parse_report
from parvis.ingest_email.parse.machine_sent import find_machine_reason
from parvis.ingest_email.parse.mime.collect_parts import parse_body
from parvis.ingest_email.parse.mime.collected_parts import CollectedParts
from parvis.ingest_email.parse.mime.headers import Headers, list_thread_ids, parse_headers
from parvis.ingest_email.parse.mime.placeholder_detection import find_stand_in
from parvis.ingest_email.parse.quoting.split_reply import SIGNATURE_CHARACTERS, SplitReply, split_reply

# Raised by parsers for unforeseen bytes; then only the header is used.
_SURPRISES = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_ANSWER = re.compile(
    r"(?:re|aw|sv|vs|antw|odp|r[ée][fp]?|r|ynt|atb|回复|答复|回覆|отв)(?:\[\d+\])?\s?[:\uff1a]", re.IGNORECASE
)

_LONE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_GMAIL_ROWS = 3
_SENT_ON = re.compile(
    r"(?:fwd?|tr|wg|i|rv|enc|doorst|pd|vb|vl|fs|vidarebef|转发|轉寄|転送)(?:\[\d+\])?\s?[:\uff1a]", re.IGNORECASE
)


def parse_mail(content: bytes) -> tuple[ParsedMail, list[bytes]]:
    """Parse a mail; return it with the bytes of its attachments, in the same order.

    Raises: nothing; `trouble` says if the body cannot be parsed. It may run out of memory,
            processor time or stack: call it in the sandbox only.
    """
    head = parse_head(content)
    try:
        report = parse_report(content, parse_headers(content), machine_reason=head.machine)
        head = head.model_copy(
            update={"report": report, "machine": head.machine or _reason_of_report(report, head.sender)}
        )
        body = parse_body(content)
    except _SURPRISES:
        return head.model_copy(update={"trouble": "damaged mail"}), []
    parts = (
        _split_texts(body, head)
        if not (report and head.machine)
        else [SplitReply(text_part.text) for text_part in body.texts]
    )
    fields = _body_fields(body, parts, head.subject)
    if head.machine is None and _is_bare_reaction(head, body, str(fields["text"])):
        fields["machine"] = "reaction"
    return head.model_copy(update=fields), [file for _, file in body.attachments]


def _is_bare_reaction(head: ParsedMail, body: CollectedParts, text: str) -> bool:
    """Whether a mail is an emoji and nothing else (RFC 9078); Gmail adds a line of its own. With words, a person wrote."""
    rows = [row for row in text.splitlines() if row.strip()]
    by_gmail = len(rows) <= _GMAIL_ROWS and any("google.com/gmail" in row for row in rows)
    words = "".join(rows[:1] if by_gmail else rows)
    is_emoji = bool(words) and not any(letter.isalnum() for letter in words)
    return "reaction" in body.remarks and bool(head.in_reply_to) and is_emoji and not body.attachments


def _split_texts(body: CollectedParts, head: ParsedMail) -> list[SplitReply]:
    is_sent_on = _SENT_ON.match(head.subject) is not None
    is_reply = not is_sent_on and bool(head.in_reply_to or _ANSWER.match(head.subject))
    return [split_reply(text_part.text, is_reply=is_reply, is_sent_on=is_sent_on) for text_part in body.texts]


def _body_fields(body: CollectedParts, parts: Sequence[SplitReply], subject: str) -> dict[str, object]:
    if any(part.is_forward for part in parts) and "mail-forwarded" not in body.remarks:
        body.add_remark("mail-forwarded")
    text, quoted = _join([part.text for part in parts]), _join([*(part.quoted for part in parts), *body.quoted])
    if not text and body.quoted:  # a mail without text of its own: the forwarded mail is its text
        text, quoted = _join(body.quoted), ""
    if trouble := find_stand_in(text, quoted, is_empty=not (body.attachments or subject)):
        body.add_trouble(trouble)
    return {
        "text": text,
        "quoted": quoted,
        "signature": _join([part.signature for part in parts])[:SIGNATURE_CHARACTERS],
        "attachments": tuple(attachment for attachment, _ in body.attachments),
        "remarks": body.remark_codes,
        "trouble": next(iter(body.troubles), None),
    }


def _join(texts: Sequence[str]) -> str:
    return "\n\n".join(text.strip("\n") for text in texts if text.strip())[:MAX_TEXT_CHARACTERS]


def _reason_of_report(report: MailReport | None, sender: str) -> str | None:
    """A postmaster is a person who may quote a report; one who writes nothing but a report, in words too, is a mail system."""
    is_certain = report is not None and (report.is_structured or _is_postmaster(sender))
    return "report" if is_certain else None


def _is_postmaster(address: str) -> bool:
    return re.sub(r"[._-]", "", address.lower()).startswith("postmaster@")


def parse_head(content: bytes, *, trouble: str | None = None) -> ParsedMail:
    """Parse the header alone, which is safe outside the sandbox: for a mail whose body crashed the parser process."""
    headers = parse_headers(content)
    sender, sender_name = headers.sole_address("from")
    return ParsedMail(
        sender=sender,
        sender_name=sender_name,
        reply_to=headers.address("reply-to")[0],
        subject=headers.text("subject", 2000),
        message_id=next(iter(headers.ids("message-id")), ""),
        in_reply_to=list_thread_ids(headers),
        machine=find_machine_reason(headers),
        authentication=tuple(_authentication_results(content, headers)),
        trouble=trouble,
    )


def _authentication_results(content: bytes, headers: Headers) -> list[str]:
    """Of whole lines only: behind a lone CR or LF in a mail of CRLF no mail server sees a field, or removes a forged one."""
    head, end, _ = content[:MAX_HEADERS_BYTES].lstrip(b"\r\n").partition(b"\r\n\r\n")
    whole = _LONE.sub(b" ", head) if end or b"\r\n" in head else head
    if whole != head:
        headers = parse_headers(whole)
    return [value[:2000] for value in headers.all_raw("authentication-results")[:10]]
