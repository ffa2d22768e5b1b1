"""Builds what the case page shows: contacts with their files and scans, the preview of a reply, cursors of the queue. Pure; no I/O."""

import base64
import binascii
import json
import math
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any

from parvis.common.contract.channels import channel
from parvis.common.contract.contact import Attachment, ClaimCheck, ContactReceived
from parvis.common.files.file_names import safe_file_name
from parvis.common.files.media_types import PICTURES
from parvis.common.text.sms_encoding import MAX_SMS_CHARACTERS, count_segments, simplify_typography
from parvis.common.town.models import TownConfig
from parvis.common.town.template_variables import standard_variables
from parvis.common.town.templates import RenderedTemplate, TemplateSet
from parvis.desk.models.case import Agent, Case, CaseContact, ReplyRecipient
from parvis.web.format_form_answers import format_answers
from parvis.web.translations import Translations

MAX_SHOWN_PAGES = 4
# 12 pt on A4; letterhead and address take the upper third of the first page.
_LETTER_LINE, _FIRST_PAGE_LINES, _PAGE_LINES = 88, 28, 46
_EXTENSIONS = {
    "message/rfc822": "eml",
    "application/pdf": "pdf",
    "application/json": "json",
    "text/plain": "txt",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/tiff": "tif",
    "application/x-www-form-urlencoded": "txt",
}
_PICTURES = PICTURES - {"image/tiff", "image/bmp"}  # usually small enough to show beside the text
_PAPER = frozenset(["application/pdf", "image/jpeg", "image/png", "image/tiff"])


@dataclass(frozen=True)
class AttachmentView:
    """One attachment on the case page."""

    number: int
    name: str
    claim: Attachment
    is_picture: bool

    @property
    def is_redrawn(self) -> bool:
        """Whether the download is a re-encoded picture; the untouched file then has a link of its own."""
        return self.claim.media_type in PICTURES


@dataclass(frozen=True)
class ScanPageView:
    """One page of a scan: the stored file, the page in it, and its number in the letter."""

    stored: str
    page: int
    number: int
    is_low: bool


@dataclass(frozen=True)
class ContactView:
    """One contact as the case page shows it."""

    contact: CaseContact
    answers: tuple[tuple[str, str], ...]
    files: tuple[AttachmentView, ...]
    pages: tuple[ScanPageView, ...]
    more_pages: int
    text: str
    marked: tuple[tuple[str, bool], ...] = ()  # the text in parts, and whether the machine doubts the part


def build_contact_view(opened: CaseContact, town_config: TownConfig, language: str) -> ContactView:
    """Build the view of a contact: a form as questions and answers, a letter as its scan, anything else as text."""
    contact = opened.contact
    shows_pictures = "ambiguous-mime" not in contact.remarks  # the antivirus may have scanned another reading of it
    files = [
        AttachmentView(
            number, attachment_name(contact, number), claim, shows_pictures and claim.media_type in _PICTURES
        )
        for number, claim in enumerate(contact.attachments)
    ]
    pages: list[ScanPageView] = []
    if contact.channel == "post":
        scanned = [(str(file.number), 1, _page_number(file)) for file in files if file.is_picture]
        pages = [_page(contact, *location) for location in scanned or _pages_of_original(opened)]
        files = [] if scanned else files
    return ContactView(
        contact=opened,
        answers=format_answers(town_config, contact.procedure, contact.personal.answers, language),
        files=tuple(files),
        pages=tuple(pages[:MAX_SHOWN_PAGES]),
        more_pages=max(0, len(pages) - MAX_SHOWN_PAGES),
        text=opened.correction.text if opened.correction else contact.personal.text,
        marked=() if opened.correction else mark_doubtful_words(contact.personal.text, contact.personal.doubtful_words),
    )


def mark_doubtful_words(text: str, doubtful: Sequence[str]) -> tuple[tuple[str, bool], ...]:
    """The text in parts, of which every second one is a word that the machine was not sure of. Empty without such words."""
    words = frozenset(doubtful)
    parts = re.split(r"(\s+)", text)
    grouped = groupby(parts, key=lambda part: part in words)
    return tuple(("".join(group), is_doubtful) for is_doubtful, group in grouped) if words else ()


def attachment_name(contact: ContactReceived, number: int) -> str:
    """The safe name of an attachment, on the page and for its download."""
    names = contact.personal.file_names
    return safe_file_name(names[number] if number < len(names) else "") or f"document-{number + 1}"


def _page_number(file: AttachmentView) -> int:
    """The page number from the file name that ingest-postal gave it: blank pages have no picture, so positions differ."""
    named = re.fullmatch(r"page-(\d{1,4})\.jpg", file.name)
    return int(named[1]) if named else file.number + 1


def _page(contact: ContactReceived, stored: str, page: int, number: int) -> ScanPageView:
    return ScanPageView(stored, page, number, is_low=contact.ocr is not None and number in contact.ocr.low_pages)


def _pages_of_original(opened: CaseContact) -> list[tuple[str, int, int]]:
    if opened.contact.original.media_type not in _PAPER:
        return []
    count = opened.contact.ocr.pages if opened.contact.ocr else 1
    return [("original", page, page) for page in range(1, count + 1)]


def describe_remark(words: Translations, kind: str, code: str, language: str) -> str:
    """A remark (`remote-images:3`) or trouble (`reading took longer than 30 s`) as a sentence; unchanged if the words have none."""
    number = re.search(r"\d+(?:\.\d+)?", code)
    name = re.sub(r"\d+(?:\.\d+)?", "n", code.partition(":")[0] if kind == "remark" else _without_details(code))
    key = f"{kind}.{re.sub('[^a-z]+', '-', name.lower()).strip('-')}"
    try:
        return words.translate(
            key, language, n=number[0] if number else "", count=int(float(number[0])) if number else 1
        )
    except LookupError:
        return code


def _without_details(trouble: str) -> str:
    """A trouble without what only operators need: which worker it was, why a provider refused."""
    plain = re.sub(r" ?\(.*\)", "", trouble)
    plain = re.sub(r"^(the )?(?:mail parsing|inspection|splitting)\b", r"\1reading", plain)
    return re.sub(r"^(not fetched from the provider): .*", r"\1", plain)


def channel_label(words: Translations, name: str, language: str) -> str:
    """A channel's name on the page; without a word of our own, the label of the channel table."""
    try:
        return words.translate(f"channel.{name}", language)
    except LookupError:
        return channel(name).label(language)


def original_file_name(reference: str, claim: ClaimCheck) -> str:
    """The file name of a downloaded original."""
    return f"{reference}.{_EXTENSIONS.get(claim.media_type, 'bin')}"


def render_reply(
    case: Case,
    target: ReplyRecipient,
    text: str,
    town_config: TownConfig,
    templates: TemplateSet,
    language: str,
    *,
    agent: Agent,
) -> RenderedTemplate | None:
    """The answer as the citizen will read it, with the town's additions. None for a call, which sends nothing.

    The reply page behind an inbox notice shows an answer as its letter reads.
    """
    row = channel(target.channel)
    medium = "letter" if row.carried_by else row.template_medium
    if medium is None:
        return None
    variables = standard_variables(town_config, department=case.department, language=language, reference=case.reference)
    own = {"department": town_config.current_department(case.department), "procedure": case.procedure}
    return templates.find("answer", language, medium, **own).render(
        variables | {"text": text.strip(), "agent": agent.signature}
    )


@dataclass(frozen=True)
class SmsCost:
    """The segments in which an SMS is charged. `is_too_long`: it cannot be sent as an SMS, so the notifier takes another channel."""

    parts: int
    is_plain: bool
    is_too_long: bool


@dataclass(frozen=True)
class ReplyPreview:
    """A rendered answer for the agent to check before sending it; for an SMS with its cost."""

    subject: str
    text: str
    cost: SmsCost | None = None
    is_on_reply_page: bool = False  # the citizen gets a link to it by SMS
    pages: int = 0  # of a letter, estimated


def build_preview(target: ReplyRecipient, rendered: RenderedTemplate) -> ReplyPreview:
    """The preview of an answer on its channel, in the characters that the channel sends."""
    row = channel(target.channel)
    if row.carried_by:
        return ReplyPreview(rendered.subject, rendered.text, is_on_reply_page=True)
    if row.template_medium != "sms":
        pages = estimate_letter_pages(rendered.text) if row.template_medium == "letter" else 0
        return ReplyPreview(rendered.subject, rendered.text, pages=pages)
    text = simplify_typography(rendered.text)
    alphabet, parts = count_segments(text)
    return ReplyPreview(rendered.subject, text, SmsCost(parts, alphabet == "GSM-7", len(text) > MAX_SMS_CHARACTERS))


def estimate_letter_pages(text: str) -> int:
    """About how many pages a letter has: only its typesetting knows exactly."""
    lines = sum(max(1, math.ceil(len(line) / _LETTER_LINE)) for line in text.splitlines())
    return 1 + max(0, math.ceil((lines - _FIRST_PAGE_LINES) / _PAGE_LINES))


def parse_day(text: str) -> date | None:
    """The day that an action names. None if it names none."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def encode_cursor(key: Sequence[Any]) -> str:
    """Encode a queue cursor for a URL."""
    plain = [part.isoformat() if isinstance(part, datetime) else part for part in key]
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode().rstrip("=")


def decode_cursor(text: str | None) -> tuple[Any, ...] | None:
    """Decode a queue cursor. None if it is invalid; the queue then starts at its first page."""
    if not text or len(text) > 400:
        return None
    try:
        parts = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        match parts:
            case [int(urgency), str(due), str(received), str(conversation)] if abs(urgency) < 2**31:
                return (urgency, _instant(due), _instant(received), str(uuid.UUID(conversation)))
            case [str(changed), str(conversation)]:
                return (_instant(changed), str(uuid.UUID(conversation)))
            case _:
                return None
    except (ValueError, binascii.Error, RecursionError):
        return None


def search_cursor(text: str | None) -> tuple[datetime, str] | None:
    """The cursor of a page of messages. None if it is invalid."""
    cursor = decode_cursor(text)
    return (cursor[0], cursor[1]) if cursor and len(cursor) == 2 else None


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("no time zone")
    return instant
