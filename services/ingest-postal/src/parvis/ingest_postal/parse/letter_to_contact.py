"""Builds the contact.received event of a letter from its reading. Pure; no I/O."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from parvis.common.contract.contact import (
    Attachment,
    ClaimCheck,
    ContactId,
    ContactPersonalData,
    ContactPoint,
    ContactReceived,
    ConversationId,
    ConversationIdentifiers,
    OcrQuality,
    ReplyAddress,
    Verification,
)
from parvis.common.contract.letter_qr import conversation_id_of_letter_qr
from parvis.common.contract.references import find_references, make_reference
from parvis.common.contract.text_limit import truncate_text
from parvis.common.text.language import detect_language
from parvis.ingest_postal.models.page import ScannedPage, TextLine
from parvis.ingest_postal.models.scan import ScanReading
from parvis.ingest_postal.parse.letter_date import find_letter_date
from parvis.ingest_postal.parse.own_addresses import OwnAddresses
from parvis.ingest_postal.parse.reply_channel import find_reply_channels
from parvis.ingest_postal.parse.sender_address import SenderAddress, find_sender_address
from parvis.ingest_postal.parse.text_blocks import find_text_blocks

LOW_CONFIDENCE = 0.6  # below it most words have an error: agents read the picture
LOW_PAGE = 0.8
SURE_OF_SENDER = 0.8  # a reply to the wrong address would disclose a citizen's case

_SUBJECT = re.compile(r"^\s*(?:objet|obj|concerne|subject|re)\s?[:;.]\s*(\S.{2,300})$", re.IGNORECASE)
_SURE_OF_WORD = 0.7  # the words below it are few on a typed page, and many on one that a person must read
_MOST_DOUBTFUL_WORDS, _LONGEST_WORD = 200, 40


@dataclass(frozen=True)
class LetterMetadata:
    """The facts about a letter that are known without reading it."""

    contact_id: ContactId
    drop_box: str
    received_at: datetime
    recorded_at: datetime
    original: ClaimCheck
    previews: tuple[ClaimCheck, ...] = ()
    text_overflow: ClaimCheck | None = None
    remarks: tuple[str, ...] = ()
    own_addresses: OwnAddresses = field(default_factory=lambda: OwnAddresses(key=b""))


def build_contact(reading: ScanReading, facts: LetterMetadata) -> ContactReceived:
    """Turn one letter into a contact.

    Shape:  the reading may be empty, partial or full of errors.
    Gives:  a contact for any reading; `unreadable` gives the reason when an agent must read the picture. The record key is the
            contact's own id and never text from OCR, so that a misread name cannot mix two citizens.
    Raises: nothing, for any reading.
    """
    text = join_text(reading)
    first = next((page for page in reading.pages if not page.is_blank), None)
    blocks = find_text_blocks(first) if first else []
    sender = find_sender_address(blocks, facts.own_addresses)
    return ContactReceived(
        contact_id=facts.contact_id,
        reference=make_reference(facts.contact_id),
        channel="post",
        received_at=facts.received_at,
        recorded_at=facts.recorded_at,
        to=facts.drop_box,
        language=detect_language(text),
        sender=Verification(level="none", evidence="as written on paper"),
        thread=ConversationIdentifiers(
            conversation_id=_find_conversation_id(reading, facts.own_addresses.key),
            reference=next(iter(find_references(text)), None),
        ),
        original=facts.original,
        attachments=tuple(map(Attachment.from_claim_check, facts.previews)),
        remarks=(*facts.remarks, *_blank_page_remarks(reading)),
        text_overflow=facts.text_overflow,
        unreadable=_explain_unreadable(reading),
        ocr=_summarize_ocr(reading, sender),
        dated_on=find_letter_date(blocks, facts.received_at.date()),
        personal=_build_personal(reading, text, sender, facts),
    )


def join_text(reading: ScanReading) -> str:
    """Join the text of all pages, with an empty line between blocks and pages and without control characters."""
    return "\n\n".join(paragraph for page in reading.pages for paragraph in _paragraphs(page.lines))


def _build_personal(
    reading: ScanReading, text: str, sender: SenderAddress | None, facts: LetterMetadata
) -> ContactPersonalData:
    is_trusted = sender is not None and sender.confidence >= SURE_OF_SENDER
    address = sender.address if sender and is_trusted else None
    reply_channels = find_reply_channels(reading, facts.own_addresses.phones | facts.own_addresses.mailboxes)
    if address:
        reply_channels = (*reply_channels, ReplyAddress(channel="post", address=address))
    values = {
        "from": ContactPoint(kind="post", value=address) if address else None,
        "display_name": sender.name if sender and is_trusted else "",
        "subject": _find_subject(reading),
        "text": truncate_text(text),
        "doubtful_words": _find_doubtful_words(reading),
        "file_names": tuple(f"page-{picture.number}.jpg" for picture in reading.previews[: len(facts.previews)]),
        "reply_channels": reply_channels,
    }
    return ContactPersonalData.model_validate(values)


def _find_doubtful_words(reading: ScanReading) -> list[str]:
    """The words that the OCR was not sure of, each once, for an agent to compare with the picture."""
    read = (word for page in reading.pages if page.source == "reading" for word in page.words)
    doubtful = (_strip_control_characters(word.text) for word in read if word.confidence < _SURE_OF_WORD)
    return [word for word in dict.fromkeys(doubtful) if 0 < len(word) <= _LONGEST_WORD][:_MOST_DOUBTFUL_WORDS]


def _find_conversation_id(reading: ScanReading, key: bytes) -> ConversationId | None:
    """The conversation named by our letter's code. None without a valid code, or with codes of two conversations."""
    conversation_ids = {
        conversation_id_of_letter_qr(code.text, key) for page in reading.pages for code in page.codes
    } - {None}
    return conversation_ids.pop() if len(conversation_ids) == 1 else None


def _paragraphs(lines: tuple[TextLine, ...]) -> Iterator[str]:
    for _, block in groupby(lines, key=lambda line: line.block):
        yield "\n".join(_strip_control_characters(line.text) for line in block)


def _strip_control_characters(text: str) -> str:
    """Remove control characters, lone surrogates and unassigned code points."""
    return "".join(c for c in text if c == "\t" or unicodedata.category(c) not in ("Cc", "Cs", "Cn"))


def _find_subject(reading: ScanReading) -> str:
    """The text of the line « Objet : … » on the first page; empty without one."""
    first = next((page for page in reading.pages if not page.is_blank), None)
    for line in first.lines if first else ():
        match = _SUBJECT.match(_strip_control_characters(line.text))
        if match:
            return match.group(1).strip()
    return ""


def _summarize_ocr(reading: ScanReading, sender: SenderAddress | None) -> OcrQuality | None:
    """Summarise the OCR confidence. None when the file had its own text or no word was found."""
    ocr_pages = [page for page in reading.pages if page.source == "reading" and page.words]
    if not ocr_pages:
        return None
    return OcrQuality(
        confidence=_mean_confidence(ocr_pages),
        pages=len(ocr_pages),
        page_confidences=tuple(round(min(page.confidence, 1.0), 4) for page in ocr_pages),
        low_pages=tuple(page.number for page in reading.pages if _needs_people(page)),
        sender_confidence=round(min(sender.confidence, 1.0), 4) if sender else None,
    )


def _mean_confidence(read: list[ScannedPage]) -> float:
    weights = [sum(max(len(word.text), 1) for word in page.words) for page in read]
    mean = sum(page.confidence * weight for page, weight in zip(read, weights, strict=True)) / sum(weights)
    return min(mean, 1.0)


def _blank_page_remarks(reading: ScanReading) -> tuple[str, ...]:
    return (f"blank-pages:{len(reading.blank_pages)}",) if reading.blank_pages else ()


def _needs_people(page: ScannedPage) -> bool:
    """Whether an agent must read this page in its picture."""
    if page.source == "layer" or page.is_blank:
        return False
    return not page.is_read or (bool(page.words) and page.confidence < LOW_PAGE)


def _explain_unreadable(reading: ScanReading) -> str | None:
    ocr = _summarize_ocr(reading, None)
    if reading.trouble:
        return reading.trouble[:200]
    if not any(page.words for page in reading.pages):
        return "no text was found on the paper"
    return "the text was read with little confidence" if ocr and ocr.confidence < LOW_CONFIDENCE else None
