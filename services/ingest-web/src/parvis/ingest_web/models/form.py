"""A form as it is filled in and remembered, and the names of the inputs every form has. Data only."""

from dataclasses import dataclass, field
from datetime import datetime

from parvis.common.contract.contact import Attachment, ContactPoint, ReplyAddress
from parvis.common.town.field_types import LocalText


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
    """One file of the form, by what is known of it; its bytes are elsewhere."""

    name: str
    size_bytes: int
    media_type: str
    sha256: str


@dataclass(frozen=True)
class Kept:
    """A file that is stored; until the form is sent it is named in the page under our seal."""

    file: File
    claim: Attachment


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
# What the button asks for: `review`, `change`; without it the form is sent.
STEP, REVIEW, CHANGE = "_step", "review", "change"
SEEN, PROOF, WAITED = "_seen", "_proof", "_waited"
KEPT, DROP = "_kept-", "_drop-"
INPUTS = {
    "name": NAME,
    "reply": REPLY,
    "token": TOKEN,
    "csrf": CSRF,
    "trap": TRAP,
    "step": STEP,
    "review": REVIEW,
    "change": CHANGE,
    "seen": SEEN,
    "proof": PROOF,
    "waited": WAITED,
    "kept": KEPT,
    "drop": DROP,
}
NO_REPLY = "none"
REPLY_CHANNELS = ("sms", "email", "post", "phone")


def reply_address(channel: str) -> str:
    """The input for the address that goes with a reply channel."""
    return f"reply-{channel}"


TYPE_NAMES = {
    "application/pdf": "PDF",
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/gif": "GIF",
    "image/tiff": "TIFF",
    "image/webp": "WebP",
    "image/heic": "HEIC",
    "text/plain": "TXT",
    "application/zip": "ZIP",
    "application/vnd.oasis.opendocument.text": "ODT",
    "application/vnd.oasis.opendocument.spreadsheet": "ODS",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "DOCX",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "XLSX",
}
