"""Builds the Kafka records of a decision; the same decision always gives the same bytes. No I/O."""

from dataclasses import dataclass
from functools import cache

from parvis.common.bus.cloudevents import ReceivedRecord, Record, build_record, build_record_of_bytes
from parvis.common.contract import topics
from parvis.common.contract.event_base import Event
from parvis.common.contract.pydantic_to_msgspec import encode_json
from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.routing.decisions import OTHER_PERSON, ContactRouted, Routing
from parvis.common.town.models import TownConfig
from parvis.router.consume.contact_assignment import StoredRouting
from parvis.router.consume.rule_evaluation import EvaluatedContact
from parvis.router.decide.notices import receipt_notice, registration_notice
from parvis.router.models.stored_rows import DecisionRow

_SOURCE = "router"


@dataclass(frozen=True)
class RecordFactory:
    """Builds records. Ids, keys, times and values depend on the stored row alone, so that duplicates are recognisable."""

    prefix: str
    town_config: TownConfig

    def contact_records(self, incoming: EvaluatedContact, stored: StoredRouting) -> list[Record]:
        """`contact.routed` for the department, and the notices.

        Whoever opened the conversation gets them; another person who joined it gets a registration notice of their own.
        """
        contact, routing, trace = incoming.contact, stored.routing, incoming.record.header("ce_traceparent")
        # The contact's original bytes: fields added by a newer ingest service are not lost.
        value = b'{"routing":' + stored.value + b',"contact":' + incoming.record.value + b"}"
        # The event id is the contact id on every topic, so that one id traces it everywhere.
        event_id, queue = contact.contact_id, _department_topic(self.prefix, routing.department)
        records = [_record(ContactRouted.TYPE, value, routing, topic=queue, event_id=event_id, trace=trace)]
        joins = OTHER_PERSON in routing.matched
        if not (stored.opens or joins):
            return records
        replies = _reply_topic(self.prefix)
        for notice in (
            registration_notice(contact, routing, self.town_config, language=routing.language),
            None if joins else receipt_notice(contact, routing, self.town_config, language=routing.language),
        ):
            if notice:
                value, event_id = encode_json(notice), notice.reply_id
                records.append(
                    _record(ReplyRequested.TYPE, value, routing, topic=replies, event_id=event_id, trace=trace)
                )
        return records

    def question_record(self, cause: ReceivedRecord, question: ReplyRequested) -> Record:
        """The question to the sender of a contact that waits."""
        return build_record(
            question,
            topic=_reply_topic(self.prefix),
            key=question.conversation_id,
            event_id=question.reply_id,
            source=_SOURCE,
            subject=question.conversation_id,
            time=question.requested_at,
            trace=cause.header("ce_traceparent"),
        )

    def event_record(
        self, event: Event, topic: topics.Topic, row: DecisionRow, cause: ReceivedRecord, *, key: str, event_id: str
    ) -> Record:
        """The record of one event; it carries the trace context of the event that caused it."""
        return build_record(
            event,
            topic=topic.full_name(self.prefix),
            key=key,
            event_id=event_id,
            source=_SOURCE,
            subject=key,
            time=row.decided_at,
            trace=cause.header("ce_traceparent"),
        )


def _record(event_type: str, value: bytes, routing: Routing, *, topic: str, event_id: str, trace: str | None) -> Record:
    conversation = routing.conversation_id
    return build_record_of_bytes(
        event_type, value,
        topic=topic, key=conversation, event_id=event_id, source=_SOURCE, subject=conversation,
        time=routing.decided_at, trace=trace,
    )  # fmt: skip


@cache
def _department_topic(prefix: str, department: str) -> str:
    return topics.department_topic(department).full_name(prefix)


@cache
def _reply_topic(prefix: str) -> str:
    return topics.REPLY_REQUESTED.full_name(prefix)
