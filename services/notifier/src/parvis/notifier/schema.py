"""Defines the notifier's tables; `migrations/` creates them."""

from sqlalchemy import JSON, BigInteger, Column, DateTime, ForeignKey, Identity, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from parvis.common.storage.outbox import outbox_table
from parvis.common.storage.postgres import schema_metadata

SCHEMA = "notifier"
METADATA = schema_metadata(SCHEMA)

reply = Table(
    "reply",
    METADATA,
    Column("reply_id", Text, primary_key=True),
    Column("conversation_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("request", JSON, nullable=False),  # reply.requested as it came; personal
    Column("recorded_at", DateTime(timezone=True), nullable=False),
)

delivery = Table(
    "delivery",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),  # the order in which replies were requested
    Column("delivery_id", Text, nullable=False, unique=True),
    Column("reply_id", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),  # personal
    Column("address_hash", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("send_at", DateTime(timezone=True), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("worker", Text),
    Column("lease_until", DateTime(timezone=True)),
    Column("first_reserved_at", DateTime(timezone=True)),
    Column("reserved_at", DateTime(timezone=True)),
    Column("resent_at", DateTime(timezone=True)),
    Column("provider", Text),
    Column("provider_id", Text),
    Column("failure_class", Text),
    Column("detail", Text, nullable=False),
    Column("evidence", JSONB),
    Column("step", Integer, nullable=False),  # 1 for the first channel of a reply
    Column("why", Text, nullable=False),  # the reason for this step
    Column("moves_to", Text),  # the channel of the next step
    Column("sends", Integer, nullable=False),  # attempts that the provider took, or may have taken
    Column("stage", Text),  # how far a letter has come
    Column("asked_at", DateTime(timezone=True)),  # when the provider was last queried about it
    Column("planned_at", DateTime(timezone=True), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
)

preference = Table(
    "preference",
    METADATA,
    Column("event_id", Text, primary_key=True),
    Column("contact_point_hash", Text, nullable=False),
    Column("event", JSONB, nullable=False),  # preference.changed as it came; personal
    Column("changed_at", DateTime(timezone=True), nullable=False),
)

# Automatic messages per minute, for the budget of the whole town.
tally = Table(
    "tally",
    METADATA,
    Column("minute", DateTime(timezone=True), primary_key=True),
    Column("automatic", Integer, nullable=False),
    Column("segments", Integer, nullable=False, server_default="0"),  # of automatic SMS, for the budget of a day
    Column("letters", Integer, nullable=False, server_default="0"),  # the same
)

# What automatic messages of the last day cost, by the hashed source of the contact that caused them, for the budget of each source;
# and the automatic mails to each mailbox, by its hash.
source_tally = Table(
    "source_tally",
    METADATA,
    Column("source", Text, primary_key=True),
    Column("hour", DateTime(timezone=True), primary_key=True),
    Column("segments", Integer, nullable=False),
    Column("letters", Integer, nullable=False),
    Column("mails", Integer, nullable=False, server_default="0"),
)

# One-time codes of the inbox, as keyed hashes.
code = Table(
    "code",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("reply_id", Text, nullable=False),
    Column("address_hash", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("asked_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("used_at", DateTime(timezone=True)),
)

# A folder for the print shop; closed once it is complete.
batch = Table(
    "batch",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("made_at", DateTime(timezone=True), nullable=False),
    Column("closed_at", DateTime(timezone=True)),
)

# Every letter ever written, so that none is printed twice.
letter = Table(
    "letter",
    METADATA,
    Column("delivery_id", Text, primary_key=True),
    Column("file_name", Text, nullable=False, unique=True),
    Column("sha256", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("pages", Integer, nullable=False),
    Column("country", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("written_at", DateTime(timezone=True), nullable=False),
    Column("batch", Text, ForeignKey(batch.c.name)),
)

outbox = outbox_table(METADATA)
