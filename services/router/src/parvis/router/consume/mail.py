"""A decision's row and the record that caused it in, the records that everybody is told by out. Pure; the same every time."""

from dataclasses import dataclass
from uuid import UUID

from parvis.common import topics
from parvis.common.bus.records import Received, Record, record, traceparent
from parvis.common.contact import ContactReceived, Event
from parvis.common.directory import Directory
from parvis.common.routing import ContactRouted, Routing
from parvis.router.decide import Calendar, Decision, receipt, registration
from parvis.router.tables import DecisionRow

_SOURCE = "router"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A contact as it came: its key, the event, its record, and what the rules say before any conversation is looked at."""

    key: UUID
    contact: ContactReceived
    received: Received
    decision: Decision


@dataclass(frozen=True)
class Mail:
    """Makes the records. Ids, keys, times and values follow from the row alone, so that a repetition is recognised."""

    prefix: str
    directory: Directory
    calendar: Calendar

    def of_contact(self, arrival: Arrival, row: DecisionRow) -> list[Record]:
        """`contact.routed` for the department and, when the contact opened its conversation, the notices."""
        routing = Routing.model_validate_json(row.value)
        # The contact's bytes as they came: a member that a newer door added is not lost on the way.
        value = b'{"routing":' + row.value.encode() + b',"contact":' + arrival.received.value + b"}"
        event = ContactRouted.model_construct(routing=routing, contact=arrival.contact)
        conversation, queue = routing.conversation_id, topics.department(routing.department)
        # The contact's id stays the event's id on every topic: one name to follow it by.
        records = [
            self.written(event, queue, conversation, arrival.contact.contact_id, row, arrival.received, value=value)
        ]
        if not row.opens:
            return records
        contact, language = arrival.contact, arrival.decision.language
        notices = (
            registration(contact, routing, self.directory, language=language),
            receipt(contact, routing, self.directory, language=language),
        )
        return records + [
            self.written(notice, topics.REPLY_REQUESTED, conversation, notice.reply_id, row, arrival.received)
            for notice in notices
            if notice
        ]

    def written(
        self,
        event: Event,
        topic: topics.Topic,
        conversation: str,
        event_id: str,
        row: DecisionRow,
        cause: Received,
        *,
        value: bytes | None = None,
    ) -> Record:
        """The record of one event that follows from a row; it belongs to the trace of what caused it."""
        token = traceparent.set(cause.header("ce_traceparent"))
        try:
            return record(
                event,
                topic=topic.full_name(self.prefix),
                key=conversation,
                event_id=event_id,
                source=_SOURCE,
                subject=conversation,
                time=row.decided_at,
                value=value,
            )
        finally:
            traceparent.reset(token)
