"""Declares the desk's SQL tables, as `migrations/` creates them."""

from sqlalchemy import Boolean, Column, DateTime, Double, Integer, LargeBinary, Table, Text, literal_column
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR, UUID

from parvis.common.storage.outbox import outbox_table
from parvis.common.storage.postgres import schema_metadata

SCHEMA = "desk"
METADATA = schema_metadata(SCHEMA)
outbox = outbox_table(METADATA, is_delayed=True)


def _id(name: str, *, is_key: bool = False) -> Column[str]:
    return Column(name, UUID(as_uuid=False), primary_key=is_key)


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, Text) for name in names]


def _instant(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True))


case_file = Table(
    "case_file",
    METADATA,
    _id("conversation_id", is_key=True),
    *_texts("reference", "department", "state", "taken_by", "procedure", "channel", "subject", "snippet", "citizen"),
    Column("department_sequence", Integer),
    Column("urgency", Integer),
    Column("contacts", Integer),
    Column("undelivered", Boolean),
    _instant("received_at"),
    _instant("receipt_due_at"),
    _instant("answer_due_at"),
    _instant("escalate_at"),
    _instant("silence_at"),
    *_texts("silence_means"),
    _instant("competent_at"),
    Column("tags", ARRAY(Text)),
    _instant("changed_at"),
    _instant("snoozed_until"),
    *_texts("place"),
    Column("latitude", Double),
    Column("longitude", Double),
)
placement = Table(
    "placement", METADATA, _id("contact_id", is_key=True), _id("conversation_id"), Column("sequence", Integer),
    _instant("at"),
)  # fmt: skip
contact = Table(
    "contact", METADATA, _id("contact_id", is_key=True), _id("conversation_id"), Column("sequence", Integer),
    *_texts("reference"), _instant("at"), Column("routed", LargeBinary),
    Column("brief", LargeBinary),  # the event without its texts; null in rows of before this column
)  # fmt: skip
move = Table(
    "move", METADATA, _id("conversation_id", is_key=True), Column("sequence", Integer, primary_key=True),
    *_texts("from_department", "to_department", "reason"), _instant("at"),
    Column("stopped", JSONB(none_as_null=True)), Column("history", JSONB(none_as_null=True)),
)  # fmt: skip
step = Table(
    "step", METADATA, _id("conversation_id", is_key=True), Column("sequence", Integer, primary_key=True),
    _id("other_conversation"), *_texts("kind", "other_reference", "other_department", "reason"),
    Column("contacts", Integer), _instant("at"), Column("history", JSONB(none_as_null=True)),
)  # fmt: skip
reply = Table(
    "reply", METADATA, _id("reply_id", is_key=True), _id("conversation_id"),
    *_texts("agent", "department", "channel", "address", "text"), _instant("at"),
    _instant("due_at"), _instant("withdrawn_at"), Column("before", JSONB(none_as_null=True)), Column("files", JSONB),
)  # fmt: skip
delivery = Table(
    "delivery", METADATA, _id("delivery_id", is_key=True), _id("reply_id"), _id("conversation_id"),
    *_texts("kind", "channel", "state", "failure_class", "detail", "stage"), Column("attempt", Integer), _instant("at"),
)  # fmt: skip
transfer = Table(
    "transfer", METADATA, _id("transfer_id", is_key=True), _id("conversation_id"),
    *_texts("from_department", "to_department", "reason", "agent", "outcome", "why"), _instant("at"),
)  # fmt: skip
act = Table(
    "act", METADATA, _id("act_id", is_key=True), _id("conversation_id"), *_texts("kind", "agent", "text"),
    _instant("at"), _id("contact_id"),
)  # fmt: skip
draft = Table(
    "draft", METADATA, _id("conversation_id", is_key=True), Column("department", Text, primary_key=True),
    Column("owner", Text, primary_key=True), *_texts("agent"), Column("fields", JSONB), _instant("saved_at"),
)  # fmt: skip
draft_file = Table(
    "draft_file", METADATA, _id("file_id", is_key=True), _id("conversation_id"), *_texts("department", "owner", "agent"),
    Column("file", JSONB), _instant("added_at"),
)  # fmt: skip
# In the words of the partial indexes of `case_file`, not as a parameter: a prepared plan could not use them.
IS_NOT_CLOSED = case_file.c.state != literal_column("'closed'")
search_entry = Table(
    "search_entry", METADATA, _id("entry_id", is_key=True), _id("conversation_id"),
    *_texts("kind", "department", "sender"), _instant("at"), Column("terms", TSVECTOR),
)  # fmt: skip
bulk_act = Table(
    "bulk_act", METADATA, _id("bulk_id", is_key=True), _id("conversation_id", is_key=True),
    *_texts("agent", "department", "kind", "outcome", "undone"), _id("reply_id"),
    Column("before", JSONB(none_as_null=True)), _instant("at"),
)  # fmt: skip
absence = Table(
    "absence", METADATA, *(Column(name, Text, primary_key=True) for name in ("department", "agent")), _id("absence_id"),
    _instant("begins_at"), _instant("until_at"), *_texts("deputy", "noted_by"),
)  # fmt: skip
saved_view = Table(
    "saved_view", METADATA, *(Column(name, Text, primary_key=True) for name in ("department", "agent", "name")),
    Column("query", Text),
)  # fmt: skip
counter_contact = Table(
    "counter_contact", METADATA, Column("department", Text, primary_key=True), _id("seed", is_key=True), _id("contact_id"),
    *_texts("reference", "agent", "to_department", "case_reference"), _instant("at"),
    Column("original", JSONB(none_as_null=True)),
)  # fmt: skip
caller = Table("caller", METADATA, _id("contact_id", is_key=True), Column("terms", TSVECTOR))
incoming_call = Table(
    "incoming_call", METADATA, _id("call_id", is_key=True), *_texts("department", "number"), _instant("at")
)
