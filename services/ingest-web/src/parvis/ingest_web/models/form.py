"""Models a form as it is filled in and stored, and names the inputs that every form has. Data only."""

from dataclasses import dataclass, field
from datetime import datetime

from parvis.common.contract.contact import Attachment, ContactPoint, ReplyAddress
from parvis.common.town.config_types import LocalText


@dataclass(frozen=True)
class AcceptedForm:
    """The stored record of an accepted form; nothing personal."""

    seed: str
    contact_id: str
    reference: str
    procedure: str
    reply_channel: str | None
    content_hash: str
    received_at: datetime


@dataclass(frozen=True)
class FormProblem:
    """A problem with one answer: the key of its sentence, and the values in it."""

    key: str
    label: LocalText | None = None
    values: dict[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True)
class FormFile:
    """The metadata of one file of the form."""

    name: str
    size_bytes: int
    media_type: str
    sha256: str


@dataclass(frozen=True)
class StoredFile:
    """A stored file. Until the form is sent, the page carries its sealed reference."""

    file: FormFile
    claim: Attachment


@dataclass
class FilledForm:
    """The answers and problems of a form. It can be accepted when `problems` is empty."""

    answers: dict[str, str] = field(default_factory=dict[str, str])
    files: dict[str, list[FormFile]] = field(default_factory=dict[str, list[FormFile]])
    name: str = ""
    reply: ReplyAddress | None = None
    sender: ContactPoint | None = None
    filled_honeypot: bool = False
    problems: dict[str, FormProblem] = field(default_factory=dict[str, FormProblem])


# Inputs of every form. They cannot collide with a procedure's fields, which have neither hyphens nor leading underscores.
NAME = "your-name"
REPLY = "reply-channel"
TOKEN, CSRF, HONEYPOT = "_once", "_csrf", "_website"
# The button pressed: `review` or `change`; without it the form is sent.
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
