"""Defines contact.received, the event that every ingest service writes and the router reads. Pure; no I/O."""

import uuid
from datetime import date
from typing import Annotated, ClassVar, Literal, NewType

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints

from parvis.common.contract.channels import ContactPointKind
from parvis.common.contract.event_base import Event, Model

ContactId = NewType("ContactId", str)
ConversationId = NewType("ConversationId", str)
DepartmentSlug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
Reference = Annotated[str, StringConstraints(pattern=r"^P(-[0-9A-HJKMNP-TV-Z]{4}){3}$")]
# Names of rows in `contract.channels`. A pattern and not a list, so that events of a newer service with one more channel are readable.
ChannelName = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,20}$")]
ReplyChannel = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,20}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
RemarkCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,60}(:[0-9]{1,6})?$")]
SourceHash = Annotated[str, StringConstraints(max_length=60)]
ScanVerdict = Literal["unscanned", "pending", "clean", "infected"]

TRIAGE = "triage"
EVENT_LIMIT_BYTES = 64 * 1024

_NAMESPACE = uuid.UUID("5f3f7a0e-5a0c-5c3e-9a53-2f0d9c1b7e11")


class ContactPoint(Model):
    """An address at which a person can be reached."""

    kind: ContactPointKind
    value: str = Field(
        description="E.164 number, lower-cased mail address, or postal lines joined by line feeds",
        examples=["+33639980001"],
        max_length=1000,
    )


class ReplyAddress(Model):
    """A reply channel that the citizen named, with its address."""

    channel: ReplyChannel = Field(examples=["sms"])
    address: str = Field(
        description="E.164 number, mail address or postal lines; empty for `inbox`",
        examples=["+33639980001"],
        max_length=1000,
    )


class ClaimCheck(Model):
    """A reference to bytes in the blob store, with the means to check them."""

    blob: str = Field(description="path in the blob store: <contact id or conversation id>/<sha256>")
    sha256: str = Field(description="SHA-256 of the bytes, in hexadecimal", pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(description="size in bytes", ge=0, examples=[48213])
    media_type: str = Field(description="media type by content, not by file name", examples=["message/rfc822"])
    scan: ScanVerdict = Field(
        default="unscanned",
        description="verdict of the antivirus scan; `pending` is not clean: scan again before opening",
    )


class Attachment(ClaimCheck):
    """A file that came with the text."""

    trouble: str | None = Field(
        default=None, description="why the file was not inspected, in plain words", max_length=200
    )
    inline: bool = Field(default=False, description="the sender shows it inside the message")

    @classmethod
    def from_claim_check(cls, claim: ClaimCheck, *, trouble: str | None = None, inline: bool = False) -> "Attachment":
        return cls(**claim.model_dump(), trouble=trouble, inline=inline)


class Verification(Model):
    """How well the sender's identity is proven."""

    level: Literal["none", "provider", "domain", "staff"] = Field(
        description="none: not at all; provider: by the telephone network; domain: DMARC passed; staff: an agent saw the person"
    )
    evidence: str = Field(default="", description="what was checked, without personal data", max_length=400)
    spf: str | None = Field(
        default=None, description="SPF result of our own mail server (RFC 8601)", examples=["pass"], max_length=20
    )
    dkim: str | None = Field(
        default=None, description="DKIM result of our own mail server", examples=["pass"], max_length=20
    )
    dmarc: str | None = Field(
        default=None, description="DMARC result of our own mail server", examples=["fail"], max_length=20
    )


class MachineSent(Model):
    """Why a machine sent the contact, so that nothing may be sent because of it."""

    reason: str = Field(description="the header or fact that shows it", examples=["auto-submitted"], max_length=80)


class ConversationIdentifiers(Model):
    """What may connect the contact to a conversation, strongest first."""

    conversation_id: str | None = Field(
        default=None, description="conversation named by a token that we signed and the ingest service verified"
    )
    reference: str | None = Field(
        default=None,
        description="reference that the citizen quotes; proves nothing alone",
        examples=["P-7F3K-2Q9X-M4TC"],
    )
    message_id: str | None = Field(default=None, description="Message-ID of the mail (RFC 5322)", max_length=998)
    in_reply_to: tuple[str, ...] = Field(
        default=(), description="Message-IDs of In-Reply-To and References, nearest first"
    )


class OcrQuality(Model):
    """How well a scan was read by OCR."""

    confidence: float = Field(description="mean confidence of the words, 0 to 1", ge=0, le=1, examples=[0.94])
    pages: int = Field(description="number of pages read", ge=1)
    page_confidences: tuple[float, ...] = Field(
        default=(), description="mean confidence of each page that was read, in order"
    )
    low_pages: tuple[int, ...] = Field(default=(), description="numbers, from 1, of the pages that a person must read")
    sender_confidence: float | None = Field(
        default=None, description="confidence in the sender found on the page; null if none was found"
    )


class ContactPersonalData(Model):
    """All personal data of a contact, under one member so that one key can encrypt it."""

    from_: ContactPoint | None = Field(
        default=None, alias="from", description="the sender's address; null for an anonymous contact"
    )
    display_name: str = Field(default="", description="name as the sender writes it", max_length=400)
    subject: str = Field(default="", description="subject of a mail or a letter", max_length=2000)
    text: str = Field(
        default="", description="the sender's own words, at most 32 KiB of UTF-8; the original holds all of them"
    )
    doubtful_words: tuple[str, ...] = Field(
        default=(), description="words of `text` that OCR was not sure of, each once, at most 200", max_length=200
    )
    quoted: str = Field(default="", description="text that the sender quoted or forwarded, removed from `text`")
    signature: str = Field(default="", description="signature block, removed from `text`", max_length=2000)
    answers: dict[str, str] = Field(default_factory=dict, description="answers of the form by field name")
    file_names: tuple[str, ...] = Field(default=(), description="names of `attachments`, in the same order")
    reply_channels: tuple[ReplyAddress, ...] = Field(
        default=(), description="reply channels that the citizen asked for, in order"
    )

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)


class ContactReceived(Event):
    """One communication from a citizen, on any channel."""

    TYPE: ClassVar[str] = "contact.received"

    contact_id: ContactId = Field(description="deterministic id (UUID): the same for every delivery of the message")
    reference: Reference = Field(description="what the citizen may quote", examples=["P-7F3K-2Q9X-M4TC"])
    channel: ChannelName = Field(description="channel by which it arrived", examples=["sms"])
    received_at: AwareDatetime = Field(description="instant at which the town first held the contact; never changes")
    recorded_at: AwareDatetime = Field(description="instant at which this event was written")
    to: str = Field(
        description="our number, mailbox, form or scanner", examples=["mairie@example-town.example"], max_length=320
    )
    procedure: str | None = Field(
        default=None, description="procedure of the form; null if unknown", examples=["birth-certificate"]
    )
    language: Language | None = Field(
        default=None, description="language of the text (ISO 639); null if unknown", examples=["fr"]
    )
    sender: Verification
    machine: MachineSent | None = Field(default=None, description="set if a machine sent it; null for a person")
    thread: ConversationIdentifiers = ConversationIdentifiers()
    original: ClaimCheck = Field(description="the contact as it came, byte for byte")
    attachments: tuple[Attachment, ...] = ()
    remarks: tuple[RemarkCode, ...] = Field(
        default=(), description="facts that an agent should see beside the text", examples=[["blank-pages:1"]]
    )
    text_overflow: ClaimCheck | None = Field(default=None, description="the whole text, if it is longer than 32 KiB")
    unreadable: str | None = Field(
        default=None, description="why no machine could read the contact; null if one could", max_length=200
    )
    ocr: OcrQuality | None = Field(default=None, description="set for a scan")
    dated_on: date | None = Field(default=None, description="date written on the letter", examples=["2026-03-02"])
    contact_point_hash: str | None = Field(
        default=None, description="HMAC of `personal.from`; null for an anonymous contact"
    )
    sources: tuple[SourceHash, ...] = Field(
        default=(),
        description="keyed hashes of where it came from, the narrowest first; new ones every day; empty if nobody can tell or staff saw it",
    )
    personal: ContactPersonalData


def make_contact_id(channel: str, account: str, source_key: str) -> ContactId:
    """The id of a contact, the same for every delivery of the same communication.

    Shape:  `account` is our number, mailbox, form or drop box; `source_key` is the sender's own identifier of the message.
    """
    name = "\x1f".join((channel, account, source_key))
    return ContactId(str(uuid.uuid5(_NAMESPACE, name.encode("utf-8", "surrogatepass").hex())))


def kafka_key(contact: ContactReceived) -> str:
    """The Kafka key of `contact.received`: the hash of the sender's contact point, or the contact id if there is no sender."""
    return contact.contact_point_hash or contact.contact_id
