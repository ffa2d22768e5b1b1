"""Renders a reply as a MIME mail in plain text and HTML, safe against header injection. Pure; no I/O."""

import re
from collections.abc import Sequence
from datetime import datetime
from email.charset import BASE64, QP, Charset
from email.header import Header
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.policy import compat32
from email.utils import format_datetime

from parvis.common.contract.errors import Rejected
from parvis.common.contract.mail_tokens import make_message_id
from parvis.common.files.file_names import safe_file_name
from parvis.common.town.models import localized
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.models.message import AttachedFile
from parvis.notifier.render.mail_html import MailPage, render_mail_html
from parvis.notifier.render.reply_text import ReplyTextRenderer, to_one_line
from parvis.notifier.render.signed_links import SignedLinks

_UTF_8 = Charset("utf-8")
_UTF_8.body_encoding = QP  # readable in the evidence, and spam filters trust it more than base64
_BYTES = Charset("us-ascii")
_BYTES.body_encoding = BASE64
# The old policy writes a value as given. The new one parses it first, decodes `=?…?=` and writes the result, line feeds included
# (CVE-2024-6923).
_AS_GIVEN = compat32.clone(linesep="\r\n", max_line_length=None)  # not every program finds a folded Message-ID
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,900}>")  # printable ASCII without angle brackets
_FICTIONAL = {
    "fr": "Ville fictive : ce message est une démonstration.",
    "en": "A fictional town: this message is a demonstration.",
}


def render_mail(
    reply_text: ReplyTextRenderer,
    delivery: Delivery,
    at: datetime,
    *,
    key: bytes,
    links: SignedLinks,
    files: Sequence[AttachedFile] = (),
) -> bytes:
    """Render a complete message (RFC 5322, MIME).

    Gives:  the same Message-ID for every attempt, so that receivers can merge a duplicate; it is the signed thread token of
            the conversation.
    Source: RFC 3834 §5 (Auto-Submitted), RFC 8058 (List-Unsubscribe-Post).
    """
    town, department, reply = reply_text.town_config.town, reply_text.department, reply_text.reply
    rendered = reply_text.render("email")
    message = MIMEMultipart("mixed" if files else "alternative", policy=_AS_GIVEN)
    sender = f"{localized(department.name, reply_text.language)}, {localized(town.name, reply_text.language)}"
    headers = {
        "From": f"{_encode_header(sender)} <{department.email}>",
        "To": f"<{_header_address(ascii_domain(delivery.address))}>",
        "Subject": _encode_header(rendered.subject),
        "Date": format_datetime(at),
        "Message-ID": make_message_id(reply.reply_id, reply.conversation_id, town.mail_domain, key),
        "Content-Language": reply_text.language,
        "X-Parvis-Reference": reply.reference,
        **_thread_headers(reply.personal.in_reply_to),
        **_automatic_headers(delivery),
        **_unsubscribe_headers(reply_text, delivery, links),
    }
    for name, value in headers.items():
        message[name] = value
    alternatives = MIMEMultipart("alternative", policy=_AS_GIVEN) if files else message
    footer = localized(_FICTIONAL, reply_text.language) if town.fictional else ""
    alternatives.attach(_text_part("plain", rendered.text + (f"\n\n{footer}\n" if footer else "\n")))
    alternatives.attach(
        _text_part("html", render_mail_html(_mail_page(reply_text, rendered.subject, rendered.text, footer, links)))
    )
    if files:
        message.attach(alternatives)
        for number, file in enumerate(files, 1):
            message.attach(_attachment(file, number))
    content = message.as_bytes(policy=_AS_GIVEN)
    _check_header_names(content, headers)
    return content


def ascii_domain(address: str) -> str:
    """The address with its domain in ASCII (IDNA). A local part beyond ASCII still needs SMTPUTF8 (RFC 6531). Raises: Rejected."""
    local, _, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError as error:
        raise Rejected("the domain of the mail address has no ASCII form") from error


def _header_address(address: str) -> str:
    """The address for a header field: raw UTF-8 (RFC 6532), as surrogates, which the old policy writes unchanged. Raises: Rejected."""
    if set(address) & set("<>,\r\n\0 "):
        raise Rejected("the mail address contains an invalid character")
    return address.encode().decode("ascii", "surrogateescape")


def _mail_page(reply_text: ReplyTextRenderer, title: str, text: str, footer: str, links: SignedLinks) -> MailPage:
    town = reply_text.town_config.town
    return MailPage(
        language=reply_text.language,
        town=localized(town.name, reply_text.language),
        title=title,
        text=text,
        reference=reply_text.reply.reference,
        footer=footer,
        web=(f"https://{town.web_name}", links.public_url),
        mailboxes=(reply_text.department.email, town.mailbox),
    )


def _thread_headers(in_reply_to: str | None) -> dict[str, str]:
    """The thread headers of the mail that is answered; none if its Message-ID, which comes from outside, is malformed."""
    match = _MESSAGE_ID.fullmatch((in_reply_to or "").strip())
    return {"In-Reply-To": match[0], "References": match[0]} if match else {}


def _automatic_headers(delivery: Delivery) -> dict[str, str]:
    """The headers that keep other machines from answering (RFC 3834); none on an agent's answer."""
    if not delivery.is_automatic:
        return {}
    submission = "auto-generated" if delivery.kind == "status" else "auto-replied"
    return {"Auto-Submitted": submission, "X-Auto-Response-Suppress": "All"}


def _unsubscribe_headers(reply_text: ReplyTextRenderer, delivery: Delivery, links: SignedLinks) -> dict[str, str]:
    """The headers of one-click unsubscription (RFC 8058): only on information, never on what the law demands.

    Not on an agent's answer either: help desks, ours included, treat any mail with a List-* field as automatic.
    """
    if reply_text.reply.legal or delivery.kind != "status":
        return {}
    return {
        "List-Unsubscribe": f"<{links.unsubscribe(delivery.delivery_id)}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def _encode_header(text: str) -> str:
    """Encode a header's text as a whole, unless it is plain ASCII that needs no quoting and does not look encoded."""
    line = to_one_line(text)
    if len(line) < 200 and line.isascii() and "=?" not in line and not set(line) & set('",<>@()[]:;\\'):
        return line
    return Header(line, "utf-8").encode(linesep="\r\n")


def _text_part(subtype: str, text: str) -> MIMENonMultipart:
    part = MIMENonMultipart("text", subtype, policy=_AS_GIVEN)
    part.set_payload(text.replace("\n", "\r\n"), _UTF_8)
    return part


def _attachment(file: AttachedFile, number: int) -> Message:
    main, _, sub = file.media_type.partition(";")[0].strip().partition("/")
    if not re.fullmatch(r"[a-z]{1,20}/[a-z0-9.+-]{1,100}", f"{main}/{sub}") or main in {"message", "multipart"}:
        main, sub = "application", "octet-stream"
    part = MIMENonMultipart(main, sub, policy=_AS_GIVEN)
    part.set_payload(file.content, _BYTES)
    del part["Content-Type"]
    part["Content-Type"] = f"{main}/{sub}"
    name = safe_file_name(file.name) or f"document-{number}"
    part.add_header("Content-Disposition", "attachment", filename=name if name.isascii() else ("utf-8", "", name))
    return part


def _check_header_names(content: bytes, headers: dict[str, str]) -> None:
    """Last defence against header injection. Raises: Rejected, if the header fields are not exactly the intended ones."""
    head = content.partition(b"\r\n\r\n")[0]
    written = [line.partition(b":")[0].decode("ascii", "replace") for line in re.split(rb"\r\n(?![ \t])", head)]
    expected = {"Content-Type", "MIME-Version", *headers}
    if sorted(written) != sorted(expected) or re.search(rb"(?<!\r)\n|\r(?!\n)", content):
        raise Rejected("the mail has a header line that was not intended")
