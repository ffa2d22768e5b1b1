"""A form as it is filled in and remembered, the names of the inputs every form has, file types by their first bytes. Data only."""

from dataclasses import dataclass, field
from datetime import datetime

from parvis.common.contact import ContactPoint, ReplyAddress
from parvis.common.directory import LocalText


@dataclass(frozen=True)
class Submission:
    """What is remembered of a form that was sent; nothing personal."""

    seed: str
    contact_id: str
    reference: str
    procedure: str
    reply_channel: str | None
    content_hash: str
    received_at: datetime


@dataclass(frozen=True)
class Problem:
    """What is wrong with one answer: a key of the words, and what the sentence needs."""

    key: str
    label: LocalText | None = None
    values: dict[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True)
class File:
    """One file of the form: new from the browser, or kept from an earlier try (then without content)."""

    name: str
    content: bytes
    size_bytes: int
    media_type: str
    sha256: str


@dataclass
class Filled:
    """A form as it was filled in. It can be accepted when `problems` is empty."""

    answers: dict[str, str] = field(default_factory=dict[str, str])
    files: dict[str, list[File]] = field(default_factory=dict[str, list[File]])
    name: str = ""
    reply: ReplyAddress | None = None
    sender: ContactPoint | None = None
    is_trapped: bool = False
    problems: dict[str, Problem] = field(default_factory=dict[str, Problem])


# Inputs of every form. A procedure's own fields have neither a hyphen nor a leading underscore: they cannot collide.
NAME = "your-name"
REPLY = "reply-channel"
TOKEN, CSRF, TRAP = "_once", "_csrf", "_website"
KEPT = "_kept-"
NO_REPLY = "none"
REPLY_CHANNELS = ("sms", "email", "post", "phone")


def reply_address(channel: str) -> str:
    """The input for the address that goes with a reply channel."""
    return f"reply-{channel}"


# (offset, bytes) → media type. What is in no row is application/octet-stream.
SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (8, b"WEBP", "image/webp"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (4, b"ftypmif1", "image/heic"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
)
TYPE_NAMES = {
    "application/pdf": "PDF",
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/gif": "GIF",
    "image/tiff": "TIFF",
    "image/webp": "WebP",
    "image/heic": "HEIC",
}
