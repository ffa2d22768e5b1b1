"""Models a form as it is filled in and stored, and names the inputs that every form has. Data only."""

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
class FormProblem:
    """What is wrong with one answer: a key of the words, and what the sentence needs."""

    key: str
    label: LocalText | None = None
    values: dict[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True)
class FormFile:
    """One file of the form, by what is known of it; its bytes are elsewhere."""

    name: str
    size_bytes: int
    media_type: str
    sha256: str


@dataclass(frozen=True)
class StoredFile:
    """A file that is stored; until the form is sent it is named in the page under our seal."""

    file: FormFile
    claim: Attachment


@dataclass
class FilledForm:
    """A form as it was filled in. It can be accepted when `problems` is empty."""

    answers: dict[str, str] = field(default_factory=dict[str, str])
    files: dict[str, list[FormFile]] = field(default_factory=dict[str, list[FormFile]])
    name: str = ""
    reply: ReplyAddress | None = None
    sender: ContactPoint | None = None
    filled_honeypot: bool = False
    problems: dict[str, FormProblem] = field(default_factory=dict[str, FormProblem])


# Inputs of every form. A procedure's own fields have neither a hyphen nor a leading underscore: they cannot collide.
NAME = "your-name"
REPLY = "reply-channel"
TOKEN, CSRF, HONEYPOT = "_once", "_csrf", "_website"
# What the button asks for: `review`, `change`; without it the form is sent.
STEP, REVIEW, CHANGE = "_step", "review", "change"
REVIEWED, PROOF, WAITED = "_seen", "_proof", "_waited"
STORED, DROP = "_kept-", "_drop-"
INPUT_NAMES = {
    "name": NAME,
    "reply": REPLY,
    "token": TOKEN,
    "csrf": CSRF,
    "trap": HONEYPOT,
    "step": STEP,
    "review": REVIEW,
    "change": CHANGE,
    "seen": REVIEWED,
    "proof": PROOF,
    "waited": WAITED,
    "kept": STORED,
    "drop": DROP,
}
NO_REPLY = "none"
REPLY_CHANNELS = ("sms", "email", "post", "phone")


def reply_address_input(channel: str) -> str:
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
