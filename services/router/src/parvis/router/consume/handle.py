"""One batch of records: rows committed first, then everything produced and acknowledged."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common import clock, metrics
from parvis.common.bus import Producer, Record
from parvis.common.bus.consumer import Item
from parvis.common.contact import ContactReceived
from parvis.common.database import Database
from parvis.common.errors import Poison
from parvis.common.language import language_of
from parvis.common.logs import logger
from parvis.common.routing import CaseUpdated, TransferRequested
from parvis.router import store
from parvis.router.consume.mail import Arrival, Mail
from parvis.router.decide import (
    Placed,
    Placing,
    decide,
    place,
    transfer,
    transfer_key,
    uuid_of,
)
from parvis.router.rules import Rules
from parvis.router.tables import DecisionRow

log = logger()
_TRIES = 5

Rows = dict[UUID, DecisionRow]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Router:
    """What the router does with a batch of records.

    Contacts: one transaction locks their conversations, gives numbers and stores a decision each; then everything is
              produced. A record that comes again finds its row and is produced again, byte for byte.
    Transfers: the same lock, one number, both departments told; a stale one is refused.
    Cases:    closing and opening of conversations is remembered.
    Raises:   Unavailable, for the bus to try the batch again; Poison, for a contact whose id is none.
    """

    database: Database
    producer: Producer
    rules: Callable[[], Rules]
    placing: Placing
    mail: Mail
    now: clock.Clock = clock.now

    async def handle(self, items: Sequence[Item]) -> None:
        """Bring a batch to its end: rows committed, every record acknowledged by Kafka."""
        rules = self.rules()
        contacts = [self._arrival(item, rules) for item in items if isinstance(item.event, ContactReceived)]
        wishes = [item for item in items if isinstance(item.event, TransferRequested)]
        cases = [item.event for item in items if isinstance(item.event, CaseUpdated)]
        records: list[Record] = []
        if contacts:
            rows = await self._at_once(lambda connection: self._decide(connection, contacts))
            records += [record for arrival in contacts for record in self.mail.of_contact(arrival, rows[arrival.key])]
        if wishes:
            rows = await self._at_once(lambda connection: self._transfer(connection, wishes))
            records += [
                record for wish in wishes for record in self.mail.of_transfer(wish.received, rows[_key_of(wish)])
            ]
        if cases:
            await self._at_once(lambda connection: _follow(connection, cases))
        await self.producer.send_all(records)

    def _arrival(self, item: Item, rules: Rules) -> Arrival:
        contact = item.event
        assert isinstance(contact, ContactReceived)  # noqa: S101 - for the type checker
        key = uuid_of(contact.contact_id)
        if key is None:
            raise Poison("the contact id is no UUID")
        language = contact.language or language_of(contact.personal.text)
        decision = decide(contact, rules, self.placing.directory, language=language)
        return Arrival(key, contact, item.received, decision)

    async def _at_once(self, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        """Do the work in one transaction; again from its beginning, when another router was faster."""
        for attempt in range(1, _TRIES + 1):
            try:
                async with self.database.begin() as connection:
                    return await work(connection)
            except store.Overtaken:
                if attempt == _TRIES:
                    raise
        raise AssertionError("unreachable")

    async def _decide(self, connection: AsyncConnection, arrivals: Sequence[Arrival]) -> Rows:
        rows = await store.decisions_of(connection, [arrival.key for arrival in arrivals])
        # The same contact may stand in a batch twice: the first record of an id wins.
        fresh = {arrival.key: arrival for arrival in reversed(arrivals) if arrival.key not in rows}
        if not fresh:
            return rows
        in_order = [arrival for arrival in arrivals if fresh.get(arrival.key) is arrival]
        known = await store.lock_known(connection, [arrival.contact for arrival in in_order])
        at = self.now()
        placed = [place(arrival.contact, arrival.decision, known, self.placing, at=at) for arrival in in_order]
        new = [_row(arrival.key, one) for arrival, one in zip(in_order, placed, strict=True)]
        touched = {UUID(one.routing.conversation_id) for one in placed}
        await store.record_decisions(connection, new, [known.conversations[id_] for id_ in sorted(touched)])
        for one in await store.record_names(connection, placed):
            log.error("reference.collided", contact_id=one.contact.contact_id, reference=one.contact.reference)
        for one in placed:
            _tell(one)
        return rows | {row.id: row for row in new}

    async def _transfer(self, connection: AsyncConnection, wishes: Sequence[Item]) -> Rows:
        rows = await store.decisions_of(connection, [_key_of(wish) for wish in wishes])
        asked = {_key_of(wish): wish.event for wish in reversed(wishes) if isinstance(wish.event, TransferRequested)}
        fresh = {key: wish for key, wish in asked.items() if key not in rows}
        ids = {id_ for wish in fresh.values() if (id_ := uuid_of(wish.conversation_id))}
        conversations = await store.lock_conversations(connection, sorted(ids))
        at = self.now()
        new: list[DecisionRow] = []
        for key in dict.fromkeys(_key_of(wish) for wish in wishes):
            if key in fresh:
                conversation = conversations.get(uuid_of(fresh[key].conversation_id) or key)
                new.append(transfer(fresh[key], conversation, self.placing.directory, at=at))
        if new:
            moved = {row.conversation_id for row in new if row.kind == "transfer"}
            await store.record_decisions(connection, new, [c for c in conversations.values() if c.id in moved])
        for row in new:
            outcome = "done" if row.kind == "transfer" else "refused"
            log.info(
                "transfer.decided", conversation_id=str(row.conversation_id), sequence=row.sequence, outcome=outcome
            )
        return rows | {row.id: row for row in new}


def _key_of(item: Item) -> UUID:
    assert isinstance(item.event, TransferRequested)  # noqa: S101 - for the type checker
    return transfer_key(item.event.transfer_id)


def _row(key: UUID, placed: Placed) -> DecisionRow:
    return DecisionRow(
        id=key,
        kind="contact",
        conversation_id=UUID(placed.routing.conversation_id),
        sequence=placed.routing.sequence,
        opens=placed.opens,
        value=placed.routing.model_dump_json(exclude_none=True),
        decided_at=placed.routing.decided_at,
    )


def _tell(placed: Placed) -> None:
    routing = placed.routing
    metrics.contacts_routed.labels(routing.department).inc()
    log.info(
        "contact.routed",
        contact_id=placed.contact.contact_id,
        conversation_id=routing.conversation_id,
        sequence=routing.sequence,
        department=routing.department,
        rule=routing.rule,
    )


async def _follow(connection: AsyncConnection, cases: Sequence[CaseUpdated]) -> None:
    # Sorted like every lock of the router; of one conversation the order of the records stays.
    for case in sorted(cases, key=lambda case: case.conversation_id):
        await store.follow_case(connection, case)
