"""Routes one batch of records: commits every row first, then gives the records that follow from them."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import DecodedRecord, Record
from parvis.common.bus.producer import Producer
from parvis.common.contract.errors import RowLocked
from parvis.common.contract.routing.decisions import CaseUpdated
from parvis.common.storage.postgres import Database
from parvis.router.consume.classification import classify_contacts
from parvis.router.consume.contact_assignment import ContactAssigner, Routings
from parvis.router.consume.contact_reading import ContactReader, IncomingContact
from parvis.router.consume.department_events import request_records
from parvis.router.consume.department_requests import RequestDecider, requests_of
from parvis.router.consume.record_factory import RecordFactory
from parvis.router.consume.waiting_contacts import WaitingContacts
from parvis.router.decide.request_rows import DepartmentRequest
from parvis.router.sandbox.classifier import Classifier
from parvis.router.store import conversations
from parvis.router.store.decisions import ConcurrentUpdate

_TRIES = 5
_ONE_BY_ONE = 16  # so many contacts are tried one by one

Result = TypeVar("Result")


@dataclass(frozen=True)
class RoutingBatch:
    """One batch of records by kind; its contacts are decided as far as the rules can."""

    incoming: Sequence[IncomingContact]
    requests: Sequence[tuple[DecodedRecord, DepartmentRequest]]
    cases: Sequence[CaseUpdated]


@dataclass(frozen=True, kw_only=True)
class BatchRouter:
    """Routes batches of records.

    Contacts: those that surely open a conversation are stored at once; for the others one transaction locks their
              conversations, gives numbers and stores a decision each. A record that comes again finds its row and is
              produced again, byte for byte.
    Requests: transfers, splits and links: the same locks, one number a step; a stale one is refused.
    Cases:    closed and reopened conversations are remembered.
    Trouble:  a contact that takes over `limit_s` is parked and tried again later by `waiting`.
    Raises:   Unavailable, for the bus to try the batch again; Poison, for a contact whose id is none.
    """

    database: Database
    producer: Producer
    reader: ContactReader
    assigner: ContactAssigner
    requests: RequestDecider
    records: RecordFactory
    waiting: WaitingContacts
    classifier: Classifier | None = None
    limit_s: float = 10.0

    async def handle(self, items: Sequence[DecodedRecord]) -> None:
        """Route a batch and wait until Kafka has acknowledged every record that follows from it."""
        await self.producer.send_all(await self.store(self.prepare(items)))

    def prepare(self, items: Sequence[DecodedRecord]) -> RoutingBatch:
        """Sort a batch by kind and apply the rules to its contacts: all that needs no waiting."""
        cases = [item.event for item in items if isinstance(item.event, CaseUpdated)]
        return RoutingBatch(self.reader.read_batch(items), requests_of(items), cases)

    async def store(self, batch: RoutingBatch) -> Sequence[Record]:
        """Store every row of a batch that is not stored yet; gives the records that follow from all of them."""
        records: list[Record] = []
        if batch.incoming:
            records += await self._store_contacts(batch.incoming)
        if batch.requests:
            requests = [request for _, request in batch.requests]
            rows = await self._in_transaction(lambda connection: self.requests.decide(connection, requests))
            for item, request in batch.requests:
                records += request_records(self.records, request, item.record, rows)
        if batch.cases:
            await self._in_transaction(lambda connection: conversations.record_cases(connection, batch.cases))
        return records

    async def _store_contacts(self, read: Sequence[IncomingContact]) -> Sequence[Record]:
        incoming = await classify_contacts(read, self.classifier, self.reader.town_config)
        routings = await self._route_within_limit(incoming)
        if routings.keys() != {contact.key for contact in incoming}:
            self.waiting.wake()  # a contact waits now, or an answer released those that waited for it
        return [
            record
            for contact in incoming
            if (stored := routings.get(contact.key))
            for record in self.records.contact_records(contact, stored)
        ]

    async def _route_within_limit(self, incoming: Sequence[IncomingContact]) -> Routings:
        """The routings of those that can be assigned in time. One that takes too long is parked: the others flow.

        Whether one contact is in trouble or there is just too much to do shows only in smaller parts. One by one at once
        would be slower than what was too slow.
        """
        try:
            async with asyncio.timeout(self.limit_s):
                return await self._route(incoming)
        except (TimeoutError, RowLocked) as trouble:
            if len(incoming) == 1:
                await self.waiting.park(incoming[0], trouble)
                return {}
        routings = Routings()
        size = math.isqrt(len(incoming)) if len(incoming) > _ONE_BY_ONE else 1
        for start in range(0, len(incoming), size):
            routings |= await self._route_within_limit(incoming[start : start + size])
        return routings

    async def _route(self, incoming: Sequence[IncomingContact]) -> Routings:
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
        """Do the work in one transaction; again from its beginning, when another router was faster."""
        for attempt in range(1, _TRIES + 1):
            try:
                async with self.database.transaction() as connection:
                    return await work(connection)
            except ConcurrentUpdate:
                if attempt == _TRIES:
                    raise
        raise AssertionError("unreachable")
