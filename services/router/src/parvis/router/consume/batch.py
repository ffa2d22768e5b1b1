"""One batch of records: rows committed first, then everything produced and acknowledged."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import Record
from parvis.common.bus.consumer import DecodedRecord
from parvis.common.bus.producer import Producer
from parvis.common.contract import topics
from parvis.common.contract.errors import RowLocked
from parvis.common.contract.routing.decisions import CaseUpdated
from parvis.common.runtime import clock
from parvis.common.runtime.health import Health
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database
from parvis.router import store
from parvis.router.consume import answers, cases
from parvis.router.consume.classification import classify_arrivals
from parvis.router.consume.contacts import Contacts
from parvis.router.consume.mail import Arrival, Decided, Mail
from parvis.router.consume.waiting import Waiting
from parvis.router.consume.wishes import Wishes, wishes_in
from parvis.router.decide import Placing, Wish
from parvis.router.rules.rule_set import RuleSet
from parvis.router.sandbox.classifier import Classifier

_TRIES = 5
_SINGLY = 16  # so many are tried one by one

Result = TypeVar("Result")


@dataclass(frozen=True)
class Batch:
    """What came at once, decided as far as the rules can."""

    arrivals: Sequence[Arrival]
    wishes: Sequence[tuple[DecodedRecord, Wish]]
    updates: Sequence[CaseUpdated]


@dataclass(frozen=True)
class Router:
    """What the router does with a batch of records.

    Contacts: those that surely open a conversation are stored at once; for the others one transaction locks their
              conversations, gives numbers and stores a decision each. Then everything is produced. A record that comes
              again finds its row and is produced again, byte for byte.
    Wishes:   transfers, splits and links: the same locks, one number a step, each department told; a stale one is refused.
    Cases:    closing and opening of conversations is remembered.
    Patience: a contact that takes over `limit_s` is parked and tried again later; what waits is looked after by `waiting`.
    Raises:   Unavailable, for the bus to try the batch again; Poison, for a contact whose id is none.
    """

    database: Database
    producer: Producer
    rules: Callable[[], RuleSet]
    placing: Placing
    mail: Mail
    blobs: BlobStore | None = None  # without it nothing that arrives has a history
    classifier: Classifier | None = None
    now: clock.Clock = clock.now
    health: Health = field(default_factory=Health)
    limit_s: float = 10.0

    @cached_property
    def contacts(self) -> Contacts:
        return Contacts(self.rules, self.placing, self.now)

    @cached_property
    def waiting(self) -> Waiting:
        return Waiting(
            database=self.database,
            producer=self.producer,
            conversations=self.contacts.conversations,
            mail=self.mail,
            health=self.health,
            dead_letter_topic=topics.dead_letter_topic("router").full_name(self.mail.prefix),
            limit_s=self.limit_s,
            now=self.now,
        )

    @cached_property
    def wishes(self) -> Wishes:
        return Wishes(self.placing, self.blobs, self.now)

    async def handle(self, items: Sequence[DecodedRecord]) -> None:
        """Bring a batch to its end: rows committed, every record acknowledged by Kafka."""
        await self.producer.send_all(await self.store(self.prepare(items)))

    def prepare(self, items: Sequence[DecodedRecord]) -> Batch:
        """What needs no waiting: the rules' word on each contact."""
        updates = [item.event for item in items if isinstance(item.event, CaseUpdated)]
        return Batch(self.contacts.arrivals(items), wishes_in(items), updates)

    async def store(self, batch: Batch) -> Sequence[Record]:
        """Every row of a batch, stored before or stored now; the records that follow from them."""
        records: list[Record] = []
        if batch.arrivals:
            arrivals = await classify_arrivals(batch.arrivals, self.classifier, self.placing.town_config)
            decided = await self._decide(arrivals)
            for arrival in arrivals:
                if arrival.key in decided:
                    records += self.mail.of_contact(arrival, decided[arrival.key])
            if decided.keys() != {arrival.key for arrival in arrivals}:
                self.waiting.kick()  # a contact was held, or an answer brought those that waited for it
        if batch.wishes:
            wishes = [wish for _, wish in batch.wishes]
            rows = await self._at_once(lambda connection: self.wishes.decide(connection, wishes))
            for item, wish in batch.wishes:
                records += answers.of_wish(self.mail, wish, item.record, rows)
        if batch.updates:
            await self._at_once(lambda connection: cases.follow(connection, batch.updates))
        return records

    async def _decide(self, arrivals: Sequence[Arrival]) -> dict[str, Decided]:
        """The decisions about those that can be placed. A contact over which patience is lost is parked: the others flow.

        Whether one is in trouble or there is just too much to do is not known beforehand: smaller parts tell. One by one at
        once would be slower than what was too slow.
        """
        try:
            async with asyncio.timeout(self.limit_s):
                return await self._decide_all(arrivals)
        except (TimeoutError, RowLocked) as trouble:
            if len(arrivals) == 1:
                await self.waiting.park(arrivals[0], trouble)
                return {}
        decided: dict[str, Decided] = {}
        size = math.isqrt(len(arrivals)) if len(arrivals) > _SINGLY else 1
        for start in range(0, len(arrivals), size):
            decided |= await self._decide(arrivals[start : start + size])
        return decided

    async def _decide_all(self, arrivals: Sequence[Arrival]) -> dict[str, Decided]:
        """Most contacts open a conversation, in one round trip; for the others the rows of theirs are locked and read."""
        try:
            decided = await self.contacts.open(self.database, arrivals)
        except store.Overtaken:
            decided = {}
        others = [arrival for arrival in arrivals if arrival.key not in decided]
        if others:
            decided |= await self._at_once(lambda connection: self.contacts.decide(connection, others))
        return decided

    async def _at_once(self, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        """Do the work in one transaction; again from its beginning, when another router was faster."""
        for attempt in range(1, _TRIES + 1):
            try:
                async with self.database.transaction() as connection:
                    return await work(connection)
            except store.Overtaken:
                if attempt == _TRIES:
                    raise
        raise AssertionError("unreachable")
