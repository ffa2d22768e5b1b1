"""What was read of a letter, and what the door knows about it, in; the contact out. Pure; no I/O."""

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
    ContactPoint,
    ContactReceived,
    ConversationId,
    OcrResult,
    PersonalContact,
    ReplyAddress,
    ThreadIdentifiers,
    Verification,
)
from parvis.common.contract.letter_qr import conversation_id_of_letter_qr
from parvis.common.contract.references import find_references, make_reference
from parvis.common.contract.text_limit import truncate_text
from parvis.common.text.language import detect_language
from parvis.ingest_postal.parse.dates import find_date
from parvis.ingest_postal.parse.page import blocks_of
from parvis.ingest_postal.parse.reply_channel import find_reply_channels
from parvis.ingest_postal.parse.sender import Sender, find_sender
from parvis.ingest_postal.parse.town import Town
from parvis.ingest_postal.tables import Line, Page, Reading

LOW_CONFIDENCE = 0.6  # below it most words of a page have a mistake: people read it from the picture
LOW_PAGE = 0.8
SURE_OF_SENDER = 0.8  # a letter that goes to the wrong door shows one citizen's business to another

_SUBJECT = re.compile(r"^\s*(?:objet|obj|concerne|subject|re)\s?[:;.]\s*(\S.{2,300})$", re.IGNORECASE)


@dataclass(frozen=True)
class Facts:
    """What the door knows of a letter without reading it."""

    contact_id: ContactId
    drop_box: str
    received_at: datetime
    recorded_at: datetime
    original: ClaimCheck
    pictures: tuple[ClaimCheck, ...] = ()
    text_overflow: ClaimCheck | None = None
    remarks: tuple[str, ...] = ()
    town: Town = field(default_factory=lambda: Town(key=b""))


def parse(reading: Reading, facts: Facts) -> ContactReceived:
    """Turn one letter into a contact.

    Shape:  the reading may be empty, partial or full of mistakes.
    Gives:  a contact, always; `unreadable` where people must read it from the picture. Its key is its own id: what was read by
            machine decides no partition, so a misread name cannot mix two citizens.
    Raises: nothing, whatever was read.
    """
    text = text_of(reading)
    first = next((page for page in reading.pages if not page.is_blank), None)
    blocks = blocks_of(first) if first else []
    sender = find_sender(blocks, facts.town)
    return ContactReceived(
        contact_id=facts.contact_id,
        reference=make_reference(facts.contact_id),
        channel="post",
        received_at=facts.received_at,
        recorded_at=facts.recorded_at,
        to=facts.drop_box,
        language=detect_language(text),
        sender=Verification(level="none", evidence="as written on paper"),
        thread=ThreadIdentifiers(
            conversation_id=_conversation(reading, facts.town.key), reference=next(iter(find_references(text)), None)
        ),
        original=facts.original,
        attachments=tuple(map(Attachment.from_claim_check, facts.pictures)),
        remarks=(*facts.remarks, *_blank_pages(reading)),
        text_overflow=facts.text_overflow,
        unreadable=_unreadable(reading),
        ocr=_worth(reading, sender),
        dated_on=find_date(blocks, facts.received_at.date()),
        personal=_personal(reading, text, sender, facts),
    )


def text_of(reading: Reading) -> str:
    """The whole text: a line a line, an empty one between blocks and pages; no control characters."""
    return "\n\n".join(paragraph for page in reading.pages for paragraph in _paragraphs(page.lines))


def _personal(reading: Reading, text: str, sender: Sender | None, facts: Facts) -> PersonalContact:
    known = sender is not None and sender.confidence >= SURE_OF_SENDER
    address = sender.address if sender and known else None
    wishes = find_reply_channels(reading)
    if address:
        wishes = (*wishes, ReplyAddress(channel="post", address=address))
    values = {
        "from": ContactPoint(kind="post", value=address) if address else None,
        "display_name": sender.name if sender and known else "",
        "subject": _subject(reading),
        "text": truncate_text(text),
        "file_names": tuple(f"page-{picture.number}.jpg" for picture in reading.pictures[: len(facts.pictures)]),
        "reply_channels": wishes,
    }
    return PersonalContact.model_validate(values)


def _conversation(reading: Reading, key: bytes) -> ConversationId | None:
    """What the code says that we printed on the letter it answers; none when two letters of ours lie in one."""
    found = {conversation_id_of_letter_qr(code.text, key) for page in reading.pages for code in page.codes} - {None}
    return found.pop() if len(found) == 1 else None


def _paragraphs(lines: tuple[Line, ...]) -> Iterator[str]:
    for _, block in groupby(lines, key=lambda line: line.block):
        yield "\n".join(_plain(line.text) for line in block)


def _plain(text: str) -> str:
    """Without what no printer prints: control characters, lone surrogates, unassigned code points."""
    return "".join(c for c in text if c == "\t" or unicodedata.category(c) not in ("Cc", "Cs", "Cn"))


def _subject(reading: Reading) -> str:
    """The line that says « Objet : … », on the first page."""
    first = next((page for page in reading.pages if not page.is_blank), None)
    for line in first.lines if first else ():
        found = _SUBJECT.match(_plain(line.text))
        if found:
            return found.group(1).strip()
    return ""


def _worth(reading: Reading, sender: Sender | None) -> OcrResult | None:
    """What was read from pictures was worth; none where the file had its own text, or no word was found."""
    read = [page for page in reading.pages if page.source == "reading" and page.words]
    if not read:
        return None
    return OcrResult(
        confidence=_mean(read),
        pages=len(read),
        page_confidences=tuple(round(min(page.confidence, 1.0), 4) for page in read),
        low_pages=tuple(page.number for page in reading.pages if _is_low(page)),
        sender_confidence=round(min(sender.confidence, 1.0), 4) if sender else None,
    )


def _mean(read: list[Page]) -> float:
    weights = [sum(max(len(word.text), 1) for word in page.words) for page in read]
    mean = sum(page.confidence * weight for page, weight in zip(read, weights, strict=True)) / sum(weights)
    return min(mean, 1.0)


def _blank_pages(reading: Reading) -> tuple[str, ...]:
    return (f"blank-pages:{len(reading.blank_pages)}",) if reading.blank_pages else ()


def _is_low(page: Page) -> bool:
    """Whether people must read this page from its picture."""
    if page.source == "layer" or page.is_blank:
        return False
    return not page.is_read or (bool(page.words) and page.confidence < LOW_PAGE)


def _unreadable(reading: Reading) -> str | None:
    worth = _worth(reading, None)
    if reading.trouble:
        return reading.trouble[:200]
    if not any(page.words for page in reading.pages):
        return "no text was found on the paper"
    return "the text was read with little confidence" if worth and worth.confidence < LOW_CONFIDENCE else None
