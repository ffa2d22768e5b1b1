"""Converts a Kafka record into its row in router.waiting and back, byte for byte. No I/O."""

import json
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.errors import Poison
from parvis.common.contract.reply import ReplyRequested
from parvis.router.decide.conversation_working_set import WaitingContact, waiting_key
from parvis.router.models.stored_rows import WaitingRow

REQUEST = "request"  # stands for the channel in the row of a department's request


def waiting_row_of(waiting: WaitingContact, record: ReceivedRecord, at: datetime) -> WaitingRow:
    """The row of a waiting contact, with its Kafka record."""
    question = waiting.question.model_dump_json(exclude_none=True, by_alias=True) if waiting.question else None
    row = contact_row(waiting.contact, record, at)
    return replace(row, why=waiting.why, due_at=waiting.due_at, candidates=waiting.candidates, question=question)


def parked_row(
    contact: ContactReceived, record: ReceivedRecord, at: datetime, *, due_at: datetime, reason: str
) -> WaitingRow:
    """The row of a contact that took too long; it is retried at `due_at`."""
    return replace(contact_row(contact, record, at), why="trouble", due_at=due_at, attempts=1, reason=reason)


def request_row(id_: UUID, record: ReceivedRecord, at: datetime) -> WaitingRow:
    """The row of a department's request that is decided and not published yet; `id_` is its decision's."""
    return _record_row(id_, None, REQUEST, record, at)


def record_of(row: WaitingRow) -> ReceivedRecord:
    """The record as Kafka delivered it. Raises: Poison, when its stored headers are unreadable."""
    try:
        headers = tuple((name, value.encode("latin-1")) for name, value in json.loads(row.headers))
    except (ValueError, TypeError, AttributeError) as error:
        raise Poison(f"the headers of the waiting contact {row.contact_id} are unreadable") from error
    return ReceivedRecord(row.topic, row.partition, row.offset, row.key, row.value, headers)


def raw_record_of(row: WaitingRow) -> ReceivedRecord:
    """The record for a dead letter; without headers if they are unreadable."""
    try:
        return record_of(row)
    except Poison:
        return ReceivedRecord(row.topic, row.partition, row.offset, row.key, row.value, ())


def question_of(row: WaitingRow) -> ReplyRequested | None:
    """The question to the sender; None if none is asked. Raises: Poison, when it is unreadable."""
    try:
        return ReplyRequested.model_validate_json(row.question) if row.question else None
    except ValueError as error:
        raise Poison(f"the question of the waiting contact {row.contact_id} is unreadable") from error


def contact_row(contact: ContactReceived, record: ReceivedRecord, at: datetime) -> WaitingRow:
    """The row of a contact that waits behind another one, or that is decided and not published yet."""
    key = waiting_key(contact)
    channel = key[1] if key else contact.channel
    return _record_row(UUID(contact.contact_id), contact.contact_point_hash, channel, record, at)


def _record_row(id_: UUID, sender_hash: str | None, channel: str, record: ReceivedRecord, at: datetime) -> WaitingRow:
    return WaitingRow(
        contact_id=id_,
        why="queued",
        sender_hash=sender_hash,
        channel=channel,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        headers=json.dumps([[name, value.decode("latin-1")] for name, value in record.headers]),
        value=record.value,
        waits_since=at,
    )
