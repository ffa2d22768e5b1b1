"""A record in, the row that keeps it while its contact waits out; and back, byte for byte. Pure."""

import json
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.contract.contact import ContactReceived
from parvis.router.decide.find_conversation import WaitingContact, waiting_key
from parvis.router.models.stored_rows import WaitingRow


def waiting_row_of(held: WaitingContact, received: ReceivedRecord, at: datetime) -> WaitingRow:
    """A contact that waits, with the record that it came in."""
    question = held.question.model_dump_json(exclude_none=True, by_alias=True) if held.question else None
    row = _kept(held.contact, received, at)
    return replace(row, why=held.why, due_at=held.due_at, candidates=held.candidates, question=question)


def parked_row(
    contact: ContactReceived, received: ReceivedRecord, at: datetime, *, due_at: datetime, reason: str
) -> WaitingRow:
    """A contact over which the router lost patience."""
    return replace(_kept(contact, received, at), why="trouble", due_at=due_at, attempts=1, reason=reason)


def _kept(contact: ContactReceived, received: ReceivedRecord, at: datetime) -> WaitingRow:
    key = waiting_key(contact)
    return WaitingRow(
        contact_id=UUID(contact.contact_id),
        why="queued",
        sender_hash=contact.contact_point_hash,
        channel=key[1] if key else contact.channel,
        topic=received.topic,
        partition=received.partition,
        offset=received.offset,
        key=received.key,
        headers=json.dumps([[name, value.decode("latin-1")] for name, value in received.headers]),
        value=received.value,
        waits_since=at,
    )


def record_of(row: WaitingRow) -> ReceivedRecord:
    """The record as it came."""
    headers = tuple((name, value.encode("latin-1")) for name, value in json.loads(row.headers))
    return ReceivedRecord(row.topic, row.partition, row.offset, row.key, row.value, headers)
