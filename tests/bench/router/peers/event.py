"""Models `contact.received` as a team would with pydantic: every field with its type, no patterns; and the decision of the rules."""

# pyright: basic, reportMissingImports=false
# Run in this folder by the peers' own interpreter: their packages are not installed in ours.

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field
from rules import decide


class Point(BaseModel):
    kind: str
    value: str


class Reply(BaseModel):
    channel: str
    address: str


class Claim(BaseModel):
    blob: str
    sha256: str
    size_bytes: int
    media_type: str
    scan: str = "unscanned"
    trouble: str | None = None
    inline: bool = False


class Sender(BaseModel):
    level: str
    evidence: str = ""
    spf: str | None = None
    dkim: str | None = None
    dmarc: str | None = None


class Thread(BaseModel):
    conversation_id: str | None = None
    reference: str | None = None
    message_id: str | None = None
    in_reply_to: list[str] = []


class Personal(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    from_: Point | None = Field(default=None, alias="from")
    display_name: str = ""
    subject: str = ""
    text: str = ""
    quoted: str = ""
    signature: str = ""
    answers: dict[str, str] = {}
    file_names: list[str] = []
    reply_channels: list[Reply] = []


class Routing(BaseModel):
    department: str
    rule: str
    decided_at: datetime


class Contact(BaseModel):
    contact_id: str
    reference: str
    channel: str
    received_at: datetime
    recorded_at: datetime
    to: str
    procedure: str | None = None
    language: str | None = None
    sender: Sender
    thread: Thread = Thread()
    original: Claim
    attachments: list[Claim] = []
    remarks: list[str] = []
    unreadable: str | None = None
    contact_point_hash: str | None = None
    personal: Personal
    routing: Routing | None = None


def route(contact: Contact) -> str:
    """Decide, and store the decision in the event; returns the department."""
    personal = contact.personal
    department, rule = decide(contact.channel, contact.language, personal.subject, personal.text)
    contact.routing = Routing(department=department, rule=rule, decided_at=datetime.now(UTC))
    return department


def routed(value: bytes) -> tuple[str, bytes]:
    """The department of an event, and the event's bytes with the decision."""
    contact = Contact.model_validate_json(value)
    department = route(contact)
    return department, contact.model_dump_json(by_alias=True, exclude_none=True).encode()
