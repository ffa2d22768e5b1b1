"""The door's own table, the names of the inputs that every form has, and file types by their first bytes. Data only."""

from sqlalchemy import Column, DateTime, Table, Text
from sqlalchemy.dialects.postgresql import UUID

from parvis.common.database import metadata
from parvis.common.outbox import outbox_table

SCHEMA = "ingest_web"
_METADATA = metadata(SCHEMA)

outbox = outbox_table(_METADATA)
submission = Table(
    "submission",
    _METADATA,
    Column("seed", UUID(as_uuid=False), primary_key=True),
    Column("contact_id", UUID(as_uuid=False), nullable=False),
    Column("reference", Text, nullable=False),
    Column("procedure", Text, nullable=False),
    Column("reply_channel", Text),
    Column("content_hash", Text, nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
)

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
