"""What a citizen sent, on whatever channel: the event every door writes and the router reads. Pure; no I/O."""

import uuid
from datetime import date, datetime
from typing import Annotated, ClassVar, Literal, NewType

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints

from parvis.common.contract.event import Event, Model

ContactId = NewType("ContactId", str)
ConversationId = NewType("ConversationId", str)
DepartmentSlug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
Reference = Annotated[str, StringConstraints(pattern=r"^P(-[0-9A-HJKMNP-TV-Z]{4}){3}$")]
ChannelName = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,20}$")]
ReplyChannel = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,20}$")]  # a row of `contract.channels`
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
RemarkCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,60}(:[0-9]{1,6})?$")]
ScanVerdict = Literal["unscanned", "pending", "clean", "infected"]

TRIAGE = "triage"
TEXT_LIMIT_BYTES = 32 * 1024
EVENT_LIMIT_BYTES = 64 * 1024

_NAMESPACE = uuid.UUID("5f3f7a0e-5a0c-5c3e-9a53-2f0d9c1b7e11")


class ContactPoint(Model):
    """An address one can be reached at."""

    kind: Literal["phone", "email", "post"]
    value: str = Field(description="E.164, lower-cased address, or postal lines joined by a line feed", max_length=1000)


class ReplyAddress(Model):
    """A reply channel that the citizen named, with its address."""

    channel: ReplyChannel
    address: str = Field(description="E.164 number, mail address, postal lines; empty for the inbox", max_length=1000)


class ClaimCheck(Model):
    """Bytes kept in the blob store, and how to know that they are the same."""

    blob: str = Field(description="path in the blob store: <contact or conversation id>/<sha256>")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)
    media_type: str = Field(description="by content, not by name", examples=["message/rfc822"])
    scan: ScanVerdict = Field(
        default="unscanned", description="pending is not clean: who opens it asks the scanner again"
    )


class Attachment(ClaimCheck):
    """What came with the text."""

    trouble: str | None = Field(default=None, description="why it was not looked into, for people", max_length=200)
    inline: bool = Field(default=False, description="shown inside the message by its sender")

    @classmethod
    def from_claim_check(cls, claim: ClaimCheck, *, trouble: str | None = None, inline: bool = False) -> "Attachment":
        return cls(**claim.model_dump(), trouble=trouble, inline=inline)


class Verification(Model):
    """How far the sender is known to be who the contact says."""

    level: Literal["none", "provider", "domain", "staff"] = Field(
        description="none: anybody could have written it; provider: the telephone network says so; "
        "domain: DMARC passed; staff: an agent saw the person"
    )
    evidence: str = Field(default="", description="what was checked, no personal data", max_length=400)
    spf: str | None = Field(default=None, description="RFC 8601 result by our own mail server", max_length=20)
    dkim: str | None = Field(default=None, description="the same", max_length=20)
    dmarc: str | None = Field(default=None, description="the same", max_length=20)


class MachineSent(Model):
    """Why nothing may be sent because of this contact."""

    reason: str = Field(description="the header or fact that shows it", examples=["auto-submitted"], max_length=80)


class ThreadIdentifiers(Model):
    """What may tie the contact to a conversation, strongest first."""

    conversation_id: str | None = Field(default=None, description="from a token that we signed; verified by the door")
    reference: str | None = Field(default=None, description="a reference the citizen quotes; proves nothing alone")
    message_id: str | None = Field(default=None, max_length=998)
    in_reply_to: tuple[str, ...] = Field(default=(), description="In-Reply-To and References, nearest first")


class OcrResult(Model):
    """What reading a scan by machine was worth."""

    confidence: float = Field(ge=0, le=1, description="mean word confidence")
    pages: int = Field(ge=1)
    page_confidences: tuple[float, ...] = Field(default=(), description="one per page that was read, in order")
    low_pages: tuple[int, ...] = Field(default=(), description="numbers, from 1, of the pages that people must read")
    sender_confidence: float | None = Field(
        default=None, description="of the sender found on the page; none where none was found"
    )


class PersonalContact(Model):
    """All that is personal in a contact: under one member, so that one key may seal it."""

    from_: ContactPoint | None = Field(default=None, alias="from")
    display_name: str = Field(default="", max_length=400)
    subject: str = Field(default="", max_length=2000)
    text: str = Field(
        default="", description="the sender's own words, up to 32 KiB of UTF-8; the whole in the original"
    )
    quoted: str = Field(default="", description="what the sender quoted or forwarded, taken out of the text")
    signature: str = Field(default="", description="taken out of the text", max_length=2000)
    answers: dict[str, str] = Field(default_factory=dict, description="form fields by name")
    file_names: tuple[str, ...] = Field(default=(), description="one per attachment, in the same order")
    reply_channels: tuple[ReplyAddress, ...] = Field(default=(), description="as the citizen stated them, in order")

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)


class ContactReceived(Event):
    """One communication from a citizen, on any channel."""

    TYPE: ClassVar[str] = "contact.received"

    contact_id: ContactId
    reference: Reference
    channel: ChannelName
    received_at: AwareDatetime = Field(description="first touch by us; never changes")
    recorded_at: AwareDatetime = Field(description="when the event was written")
    to: str = Field(description="our number, mailbox, form or scanner", max_length=320)
    procedure: str | None = None
    language: Language | None = Field(default=None, description="of the text; none when not known")
    sender: Verification
    machine: MachineSent | None = None
    thread: ThreadIdentifiers = ThreadIdentifiers()
    original: ClaimCheck
    attachments: tuple[Attachment, ...] = ()
    remarks: tuple[RemarkCode, ...] = Field(default=(), description="facts an agent should see beside the text")
    text_overflow: ClaimCheck | None = Field(default=None, description="the whole text, where it is over 32 KiB")
    unreadable: str | None = Field(default=None, description="why no machine could read it", max_length=200)
    ocr: OcrResult | None = None
    dated_on: date | None = Field(default=None, description="the date that the letter bears")
    contact_point_hash: str | None = Field(default=None, description="HMAC of personal.from; none when anonymous")
    personal: PersonalContact


def make_contact_id(channel: str, account: str, source_key: str) -> ContactId:
    """The id of a contact, the same for every delivery of the same communication.

    Shape: account is our number, mailbox, form or drop box; source_key the sender's own identifier of the message.
    """
    name = "\x1f".join((channel, account, source_key))
    return ContactId(str(uuid.uuid5(_NAMESPACE, name.encode("utf-8", "surrogatepass").hex())))


def kafka_key(contact: ContactReceived) -> str:
    """The key of `contact.received`: the sender's hash, or the contact's own id for an anonymous one."""
    return contact.contact_point_hash or contact.contact_id


def truncate_text(text: str) -> str:
    """The beginning of a text that fits the event: at most 32 KiB of UTF-8, no NUL, no lone surrogate."""
    clean = text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace")
    return clean[:TEXT_LIMIT_BYTES].decode("utf-8", "ignore")


def exceeds_text_limit(text: str) -> bool:
    """Whether a text is too long for the event and must go to a blob as a whole."""
    return len(text.encode("utf-8", "replace")) > TEXT_LIMIT_BYTES


def format_instant(instant: datetime) -> str:
    """An instant as the events write it: UTC, milliseconds, `Z`."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
