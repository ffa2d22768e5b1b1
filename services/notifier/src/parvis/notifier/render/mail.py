"""The words of a reply in, the bytes of a mail out: two twins, plain and HTML, and headers nobody can add to. Pure."""

import re
from datetime import datetime
from email.charset import QP, Charset
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.policy import compat32
from email.utils import format_datetime
from html import escape

from parvis.common.directory import said_in
from parvis.common.errors import Rejected
from parvis.common.reply import message_id
from parvis.notifier.render.words import Words, one_line
from parvis.notifier.rules import Delivery

_UTF_8 = Charset("utf-8")
_UTF_8.body_encoding = QP  # readable in the evidence, and lighter with filters than base64
# The old policy: it writes a value as it is given. The new one parses it first, decodes `=?…?=` and writes what it
# finds, line feeds as well (CVE-2024-6923).
_AS_GIVEN = compat32.clone(linesep="\r\n", max_line_length=None)  # a folded Message-ID is not found by everybody
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,900}>")  # printable ASCII without angle brackets
_PARAGRAPH = '<p style="margin:0 0 1em">{}</p>'


def render_mail(words: Words, delivery: Delivery, at: datetime, key: bytes) -> bytes:
    """A whole message, RFC 5322 and MIME.

    Gives:  the same Message-ID for every attempt, so that a second one may be merged on its way; it is the signed thread
            token of the conversation.
    Source: RFC 3834 §5 (Auto-Submitted), reliability E3, E11, E24.
    """
    town, department, reply = words.directory.town, words.department, words.reply
    said = words.say("email")
    message = MIMEMultipart("alternative", policy=_AS_GIVEN)
    sender = f"{said_in(department.name, words.language)}, {said_in(town.name, words.language)}"
    headers = {
        "From": f"{_encoded(sender)} <{department.email}>",
        "To": f"<{delivery.address}>",
        "Subject": _encoded(said.subject),
        "Date": format_datetime(at),
        "Message-ID": message_id(reply.reply_id, reply.conversation_id, town.mail_domain, key),
        "Content-Language": words.language,
        "X-Parvis-Reference": reply.reference,
        **_thread(reply.personal.in_reply_to),
        **_machine_marks(delivery),
    }
    for name, value in headers.items():
        message[name] = value
    message.attach(_part("plain", said.text + "\n"))
    message.attach(_part("html", _html(said.text, title=said.subject, language=words.language)))
    content = message.as_bytes(policy=_AS_GIVEN)
    _check(content, headers)
    return content


def _thread(in_reply_to: str | None) -> dict[str, str]:
    """The mail that is answered, where its Message-ID is one: it came from outside."""
    match = _MESSAGE_ID.fullmatch((in_reply_to or "").strip())
    return {"In-Reply-To": match[0], "References": match[0]} if match else {}


def _machine_marks(delivery: Delivery) -> dict[str, str]:
    """What keeps other machines from answering ours; an agent's answer has none."""
    if not delivery.is_automatic:
        return {}
    sort = "auto-generated" if delivery.kind == "status" else "auto-replied"
    return {"Auto-Submitted": sort, "X-Auto-Response-Suppress": "All"}


def _encoded(text: str) -> str:
    """A header's words. Whatever is not plain ASCII, or looks encoded already, is encoded as a whole."""
    words = one_line(text)
    if len(words) < 200 and words.isascii() and "=?" not in words and not set(words) & set('",<>@()[]:;\\'):
        return words
    return Header(words, "utf-8").encode(linesep="\r\n")


def _part(subtype: str, text: str) -> MIMENonMultipart:
    part = MIMENonMultipart("text", subtype, policy=_AS_GIVEN)
    part.set_payload(text.replace("\n", "\r\n"), _UTF_8)
    return part


def _html(text: str, *, title: str, language: str) -> str:
    """The same words for programs that show HTML: nothing is fetched, nothing is hidden."""
    paragraphs = (escape(paragraph).replace("\n", "<br>\n") for paragraph in text.split("\n\n"))
    body = "\n".join(_PARAGRAPH.format(paragraph) for paragraph in paragraphs)
    return (
        f'<!DOCTYPE html>\n<html lang="{escape(language)}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{escape(title)}</title>\n</head>\n'
        f'<body style="font:16px/1.5 sans-serif;max-width:40em;margin:1em;color:#1a1a1a;background:#fff">\n'
        f"{body}\n</body>\n</html>\n"
    )


def _check(content: bytes, headers: dict[str, str]) -> None:
    """Refuse a message whose head has another line than those that were meant: the last door against injection."""
    head = content.partition(b"\r\n\r\n")[0]
    written = [line.partition(b":")[0].decode("ascii", "replace") for line in re.split(rb"\r\n(?![ \t])", head)]
    wanted = {"Content-Type", "MIME-Version", *headers}
    if sorted(written) != sorted(wanted) or re.search(rb"(?<!\r)\n|\r(?!\n)", content):
        raise Rejected("the head of the mail has a line that was not meant")
