"""Reads contacts from Kafka records and applies the rules to each, before conversations are read from the database."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from parvis.common.bus.cloudevents import DecodedRecord, ReceivedRecord
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.errors import Poison
from parvis.common.text.language import detect_language
from parvis.common.town.models import TownConfig
from parvis.router.decide.conversation_working_set import parse_uuid
from parvis.router.decide.department import Decision, decide_department
from parvis.router.rules.rule_set import RuleSet

_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


class EvaluatedContact(msgspec.Struct, frozen=True, gc=False):
    """A contact, its UUID, its Kafka record, and the rules' decision, made without its conversation."""

    key: str
    contact: ContactReceived
    record: ReceivedRecord
    decision: Decision


@dataclass(frozen=True)
class RuleEvaluator:
    """Applies the current rules to contacts."""

    rules: Callable[[], RuleSet]
    town_config: TownConfig

    def read_batch(self, items: Sequence[DecodedRecord]) -> list[EvaluatedContact]:
        """The contacts of a batch, in order. Raises: Poison, for a contact id that is not a UUID."""
        rules = self.rules()
        return [self._read(item, rules) for item in items if item.event.TYPE == ContactReceived.TYPE]

    def read_record(self, record: ReceivedRecord) -> EvaluatedContact:
        """The contact of one stored record. Raises: Poison, when the record is unreadable."""
        event = record.event((ContactReceived,), fast_models=(ContactReceived,))
        return self._read(DecodedRecord(event, record), self.rules())

    def _read(self, item: DecodedRecord, rules: RuleSet) -> EvaluatedContact:
        contact: ContactReceived = item.event  # pyright: ignore[reportAssignmentType] (or its struct, by its type)
        key = contact.contact_id if _CANONICAL_UUID.match(contact.contact_id) else _canonical(contact.contact_id)
        language = contact.language or detect_language(contact.personal.text)
        decision = decide_department(contact, rules, self.town_config, language=language)
        return EvaluatedContact(key, contact, item.record, decision)


def _canonical(contact_id: str) -> str:
    parsed = parse_uuid(contact_id)
    if parsed is None:
        raise Poison("the contact id is not a UUID")
    return str(parsed)
