"""A decision's row and the record that caused it in, the records that everybody is told by out. Pure; the same every time."""

from dataclasses import dataclass
from functools import cache

import msgspec

from parvis.common.bus.cloudevents import ReceivedRecord, Record, build_record, build_record_of_bytes
from parvis.common.contract import topics
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.event import Event
from parvis.common.contract.msgspec_models import encode_json
from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.routing.decisions import ContactRouted, Routing
from parvis.common.town.models import TownConfig
from parvis.router.decide.deadlines import TownCalendar
from parvis.router.decide.department import Decision
from parvis.router.decide.notices import receipt_notice, registration_notice
from parvis.router.models.stored_rows import DecisionRow

_SOURCE = "router"


class IncomingContact(msgspec.Struct, frozen=True, gc=False):
    """A contact as it came: its key, the event, its record, and what the rules say before any conversation is looked at."""

    key: str
    contact: ContactReceived
    record: ReceivedRecord
    decision: Decision


class StoredRouting(msgspec.Struct, frozen=True, gc=False):
    """What was decided about a contact: the routing, its bytes as they are stored, and whether it opened its conversation."""

    routing: Routing
    value: bytes
    opens: bool


@dataclass(frozen=True)
class RecordFactory:
    """Makes the records. Ids, keys, times and values follow from the row alone, so that a repetition is recognised."""

    prefix: str
    town_config: TownConfig
    calendar: TownCalendar

    def contact_records(self, arrival: IncomingContact, decided: StoredRouting) -> list[Record]:
        """`contact.routed` for the department and, when the contact opened its conversation, the notices."""
        contact, routing, received = arrival.contact, decided.routing, arrival.record
        # The contact's bytes as they came: a member that a newer door added is not lost on the way.
        value = b'{"routing":' + decided.value + b',"contact":' + received.value + b"}"
        queue, trace = _queue(self.prefix, routing.department), received.header("ce_traceparent")
        # The contact's id stays the event's id on every topic: one name to follow it by.
        records = [
            self._told(ContactRouted.TYPE, value, routing, topic=queue, event_id=contact.contact_id, trace=trace)
        ]
        if not decided.opens:
            return records
        asking = _queue(self.prefix, None)
        for notice in (
            registration_notice(contact, routing, self.town_config, language=routing.language),
            receipt_notice(contact, routing, self.town_config, language=routing.language),
        ):
            if notice:
                value, id_ = encode_json(notice), notice.reply_id
                records.append(self._told(ReplyRequested.TYPE, value, routing, topic=asking, event_id=id_, trace=trace))
        return records

    def _told(
        self, kind: str, value: bytes, routing: Routing, *, topic: str, event_id: str, trace: str | None
    ) -> Record:
        conversation = routing.conversation_id
        return build_record_of_bytes(
            kind, value,
            topic=topic, key=conversation, event_id=event_id, source=_SOURCE, subject=conversation,
            time=routing.decided_at, trace=trace,
        )  # fmt: skip

    def question_record(self, received: ReceivedRecord, asked: ReplyRequested) -> Record:
        """What is asked of a citizen whose contact waits."""
        return build_record(
            asked,
            topic=_queue(self.prefix, None),
            key=asked.conversation_id,
            event_id=asked.reply_id,
            source=_SOURCE,
            subject=asked.conversation_id,
            time=asked.requested_at,
            trace=received.header("ce_traceparent"),
        )

    def event_record(
        self,
        event: Event,
        topic: topics.Topic,
        conversation: str,
        event_id: str,
        row: DecisionRow,
        cause: ReceivedRecord,
    ) -> Record:
        """The record of one event that follows from a row; it belongs to the trace of what caused it."""
        return build_record(
            event,
            topic=topic.full_name(self.prefix),
            key=conversation,
            event_id=event_id,
            source=_SOURCE,
            subject=conversation,
            time=row.decided_at,
            trace=cause.header("ce_traceparent"),
        )


@cache
def _queue(prefix: str, department: str | None) -> str:
    """A department's topic, or the one on which replies are asked for."""
    return (topics.department_topic(department) if department else topics.REPLY_REQUESTED).full_name(prefix)
