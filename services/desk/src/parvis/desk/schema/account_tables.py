"""Declares the SQL tables of accounts, sessions and the audit trail, as `migrations/` creates them."""

from sqlalchemy import BigInteger, Column, DateTime, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from parvis.desk.schema.case_tables import METADATA


def _id(name: str, *, is_key: bool = False) -> Column[str]:
    return Column(name, UUID(as_uuid=False), primary_key=is_key)


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, Text) for name in names]


def _instants(*names: str) -> list[Column[object]]:
    return [Column(name, DateTime(timezone=True)) for name in names]


account = Table(
    "account", METADATA, _id("account_id", is_key=True), *_texts("name", "quality", "mail", "kind", "created_by"),
    *_instants("created_at", "disabled_at"),
)  # fmt: skip
identity = Table(
    "identity", METADATA, Column("issuer", Text, primary_key=True), Column("subject", Text, primary_key=True), _id("account_id"),
    *_texts("state", "decided_by"), *_instants("first_seen_at", "decided_at"),
)  # fmt: skip
role_grant = Table(
    "role_grant", METADATA, _id("grant_id", is_key=True), _id("account_id"), *_texts("role", "department"),
    Column("confidential", ARRAY(Text)), *_texts("source", "granted_by", "revoked_by"), _id("deputy_of"),
    *_instants("granted_at", "expires_at", "revoked_at"),
)  # fmt: skip
session = Table(
    "session", METADATA, Column("token_hash", LargeBinary, primary_key=True), _id("session_id"), _id("account_id"),
    *_texts("department", "id_token"), *_instants("created_at", "seen_at", "expires_at", "ended_at"),
)  # fmt: skip
login_state = Table(
    "login_state", METADATA, Column("state_hash", LargeBinary, primary_key=True), _id("account_id"), *_texts("kind", "secret"),
    *_instants("expires_at"),
)  # fmt: skip
credential = Table(
    "credential", METADATA, Column("credential_id", LargeBinary, primary_key=True), _id("account_id"), *_texts("kind"),
    Column("secret", LargeBinary), Column("counter", BigInteger), Column("failures", Integer),
    *_instants("blocked_until", "created_at"),
)  # fmt: skip
break_glass = Table(
    "break_glass", METADATA, _id("break_glass_id", is_key=True), _id("account_id"), _id("conversation_id"),
    *_texts("department", "reason", "reviewed_by"), *_instants("opened_at", "expires_at", "reviewed_at"),
)  # fmt: skip
audit_entry = Table(
    "audit_entry", METADATA, Column("number", BigInteger, primary_key=True), *_instants("at"),
    *_texts("account_id", "actor", "action", "department", "subject", "detail"),
    Column("previous_hash", LargeBinary), Column("hash", LargeBinary),
)  # fmt: skip
