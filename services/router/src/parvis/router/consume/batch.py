"""Routes one batch of records: commits all rows first, then returns the records to produce."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import DecodedRecord, Record
from parvis.common.bus.producer import Producer
from parvis.common.contract.errors import RowLocked, TopicMissing
from parvis.common.contract.routing.decisions import CaseUpdated
from parvis.common.storage.postgres import Database
from parvis.router.consume.classification import classify_contacts, mark_possible_dangers
from parvis.router.consume.contact_assignment import ContactAssigner, Routings
from parvis.router.consume.department_requests import RequestDecider, requests_of
from parvis.router.consume.record_factory import RecordFactory
from parvis.router.consume.request_records import build_request_records
from parvis.router.consume.rule_evaluation import EvaluatedContact, RuleEvaluator
from parvis.router.consume.waiting_contacts import WaitingContacts
from parvis.router.decide.department_request_rows import DepartmentRequest, decision_id
from parvis.router.models.stored_rows import WaitingRow
from parvis.router.sandbox.classifier import Classifier
from parvis.router.store import conversations
from parvis.router.store.decisions import ConcurrentUpdate
from parvis.router.store.waiting_row_codec import contact_row, request_row

_TRIES = 5
_ONE_BY_ONE = 16  # groups up to this size are retried one contact at a time

Result = TypeVar("Result")


@dataclass(frozen=True)
class RoutingBatch:
    """One batch of records, sorted by kind, with the rules already applied to its contacts."""

    incoming: Sequence[EvaluatedContact]
    requests: Sequence[tuple[DecodedRecord, DepartmentRequest]]
    cases: Sequence[CaseUpdated]


@dataclass(frozen=True, kw_only=True)
class BatchRouter:
    """Routes batches of records.

    Contacts: those that open a conversation are stored in one statement, which leaves out those that are known; for these
              and the others one transaction locks their conversations, assigns numbers and stores the decisions. A
              redelivered record finds its row and is produced again, byte for byte.
    Requests: transfers, splits and links take the same locks and one sequence number per step; a stale one is refused.
    Cases:    the state (open, closed) is stored with the conversation.
    Slow:     a contact that takes more than `limit_s` is parked; `waiting` retries it later.
    Raises:   Unavailable: the bus retries the batch; Poison: a contact id is not a UUID.
    """

    database: Database
    producer: Producer
    reader: RuleEvaluator
    assigner: ContactAssigner
    request_decider: RequestDecider
    record_factory: RecordFactory
    waiting: WaitingContacts
    classifier: Classifier | None = None
    danger_recogniser: Classifier | None = None
    limit_s: float = 10.0

    async def handle(self, items: Sequence[DecodedRecord]) -> None:
        """Route a batch and wait until Kafka has acknowledged every record that follows from it.

        The pipeline calls `prepare` and `store` itself; this is for a batch that failed there.
        """
        batch = self.prepare(items)
        records = await self.store(batch)
        try:
            await self.producer.send_all(records)
        except TopicMissing as missing:  # its own contacts and requests wait, the others have gone
            parked = await self.waiting.park_decided(self._decided_rows(batch), missing)
            if any(record.topic in missing.topics and record not in parked for record in records):
                raise

    def _decided_rows(self, batch: RoutingBatch) -> list[WaitingRow]:
        at = self.waiting.now()
        contacts = [contact_row(each.contact, each.record, at) for each in batch.incoming]
        return contacts + [request_row(decision_id(request), item.record, at) for item, request in batch.requests]

    def prepare(self, items: Sequence[DecodedRecord]) -> RoutingBatch:
        """Sort a batch by kind and apply the rules to its contacts. CPU only, no I/O."""
        cases = [item.event for item in items if isinstance(item.event, CaseUpdated)]
        return RoutingBatch(self.reader.read_batch(items), requests_of(items), cases)

    async def store(self, batch: RoutingBatch) -> Sequence[Record]:
        """Store the rows of a batch that are not stored yet; returns the records to produce for all of them."""
        records: list[Record] = []
        if batch.incoming:
            records += await self._store_contacts(batch.incoming)
        if batch.requests:
            requests = [request for _, request in batch.requests]
            rows = await self._in_transaction(lambda connection: self.request_decider.decide(connection, requests))
            for item, request in batch.requests:
                records += build_request_records(self.record_factory, request, item.record, rows)
        if batch.cases:
            await self._in_transaction(lambda connection: conversations.record_cases(connection, batch.cases))
        return records

    async def _store_contacts(self, read: Sequence[EvaluatedContact]) -> Sequence[Record]:
        classified = await classify_contacts(read, self.classifier, self.reader.town_config)
        department = self.reader.rules().danger_department
        incoming = await mark_possible_dangers(classified, self.danger_recogniser, department)
        routings = await self._route_within_limit(incoming)
        if routings.keys() != {contact.key for contact in incoming}:
            self.waiting.wake()  # a contact waits now, or an answer released waiting contacts
        return [
            record
            for contact in incoming
            if (stored := routings.get(contact.key))
            for record in self.record_factory.contact_records(contact, stored)
        ]

    async def _route_within_limit(self, incoming: Sequence[EvaluatedContact]) -> Routings:
        """The routings of the contacts that were assigned in time. A contact that takes too long is parked; the others go on.

        Only smaller groups show whether one contact is slow or the whole batch is just too large, so the batch is halved;
        going one by one at once would be slower still.
        """
        try:
            async with asyncio.timeout(self.limit_s):
                return await self._route(incoming)
        except (TimeoutError, RowLocked) as error:
            if len(incoming) == 1:
                await self.waiting.park(incoming[0], error)
                return {}
        routings = Routings()
        size = math.isqrt(len(incoming)) if len(incoming) > _ONE_BY_ONE else 1
        for start in range(0, len(incoming), size):
            routings |= await self._route_within_limit(incoming[start : start + size])
        return routings

    async def _route(self, incoming: Sequence[EvaluatedContact]) -> Routings:
        """Most contacts open a conversation, in one round trip; the others are assigned under row locks."""
        try:
            routings = await self.assigner.open_conversations(self.database, incoming)
        except ConcurrentUpdate:
            routings = Routings()
        others = [contact for contact in incoming if contact.key not in routings]
        if others:
            routings |= await self._in_transaction(lambda connection: self.assigner.assign(connection, others))
        return routings

    async def _in_transaction(self, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        """Do the work in one transaction; retry from the start after a ConcurrentUpdate."""
        for attempt in range(1, _TRIES + 1):
            try:
                async with self.database.transaction() as connection:
                    return await work(connection)
            except ConcurrentUpdate:
                if attempt == _TRIES:
                    raise
        raise AssertionError("unreachable")
