"""Declares the tables of hosted mailboxes: the position in each folder, and the mails that became contacts."""

from sqlalchemy import BigInteger, Column, DateTime, Table, Text
from sqlalchemy.dialects.postgresql import UUID

from parvis.common.storage.postgres import schema_metadata

_METADATA = schema_metadata("ingest_email")

position = Table(
    "position",
    _METADATA,
    Column("account", Text, primary_key=True),
    Column("folder", Text, primary_key=True),
    Column("uidvalidity", BigInteger, nullable=False),
    Column("last_uid", BigInteger, nullable=False),
    Column("advanced_at", DateTime(timezone=True), nullable=False),
)
pulled = Table(
    "pulled",
    _METADATA,
    Column("account", Text, primary_key=True),
    Column("folder", Text, primary_key=True),
    Column("uidvalidity", BigInteger, primary_key=True),
    Column("uid", BigInteger, primary_key=True),
    Column("contact_id", UUID(as_uuid=False), nullable=False),
    Column("target", Text, nullable=False),
    Column("pulled_at", DateTime(timezone=True), nullable=False),
    Column("put_away_at", DateTime(timezone=True)),
)
