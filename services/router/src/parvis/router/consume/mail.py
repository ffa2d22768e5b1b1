"""A decision's row and the record that caused it in, the records that everybody is told by out. Pure; the same every time."""

from dataclasses import dataclass
from uuid import UUID

from parvis.common import topics
from parvis.common.bus.records import Received, Record, record, traceparent
from parvis.common.contact import ContactReceived, Event
from parvis.common.directory import Directory
from parvis.common.routing import ContactRouted, ConversationLeft, Routing, TransferRefused
from parvis.router.decide import Calendar, Decision, arrived, receipt, registration
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
            self._record(event, queue, conversation, arrival.contact.contact_id, row, arrival.received, value=value)
        ]
        if not row.opens:
            return records
        contact, language = arrival.contact, arrival.decision.language
        notices = (
            registration(contact, routing, self.directory, language=language),
            receipt(contact, routing, self.directory, self.calendar, language=language),
        )
        return records + [
            self._record(notice, topics.REPLY_REQUESTED, conversation, notice.reply_id, row, arrival.received)
            for notice in notices
            if notice
        ]

    def of_transfer(self, received: Received, row: DecisionRow) -> list[Record]:
        """`left` and `arrived` for both departments, or the refusal for the one that asked."""
        if row.kind == "refusal":
            return self._refusal(received, row)
        left = ConversationLeft.model_validate_json(row.value)
        conversation, step = left.conversation_id, f"{left.conversation_id}:{left.sequence}"
        leaving, coming = topics.department(left.from_department), topics.department(left.to_department)
        return [
            self._record(left, leaving, conversation, f"{step}:left", row, received),
            self._record(arrived(left), coming, conversation, f"{step}:arrived", row, received),
        ]

    def _refusal(self, received: Received, row: DecisionRow) -> list[Record]:
        refused = TransferRefused.model_validate_json(row.value)
        asking = refused.from_department
        # A department that does not exist has no queue to be told in.
        if asking not in self.directory.departments:
            return []
        event_id = f"{refused.transfer_id}:refused"
        return [self._record(refused, topics.department(asking), refused.conversation_id, event_id, row, received)]

    def _record(
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
