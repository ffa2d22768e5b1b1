"""Contacts of a batch in, their decision rows out: one transaction locks, numbers and stores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common import clock, metrics
from parvis.common.bus.consumer import Item
from parvis.common.contact import ContactReceived
from parvis.common.errors import Poison
from parvis.common.language import language_of
from parvis.common.logs import logger
from parvis.router import store
from parvis.router.consume.mail import Arrival
from parvis.router.decide import Placed, Placing, came_of, decide, place, uuid_of
from parvis.router.rules import Rules
from parvis.router.tables import DecisionRow

log = logger()

Rows = dict[UUID, DecisionRow]


@dataclass(frozen=True)
class Contacts:
    """Decides contacts: by the rules first, then in their conversations."""

    rules: Callable[[], Rules]
    placing: Placing
    now: clock.Clock

    def arrivals(self, items: Sequence[Item]) -> list[Arrival]:
        """What the rules say about each contact of a batch.

        Raises: Poison, for a contact whose id is none.
        """
        rules = self.rules()
        return [self._arrival(item, rules) for item in items if isinstance(item.event, ContactReceived)]

    async def decide(self, connection: AsyncConnection, arrivals: Sequence[Arrival]) -> Rows:
        """The row of every arrival: stored before, or stored now."""
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

    def _arrival(self, item: Item, rules: Rules) -> Arrival:
        contact = item.event
        assert isinstance(contact, ContactReceived)  # noqa: S101 - for the type checker
        key = uuid_of(contact.contact_id)
        if key is None:
            raise Poison("the contact id is no UUID")
        language = contact.language or language_of(contact.personal.text)
        decision = decide(contact, rules, self.placing.directory, language=language)
        return Arrival(key, contact, item.received, decision)


def _row(key: UUID, placed: Placed) -> DecisionRow:
    return DecisionRow(
        id=key,
        kind="contact",
        conversation_id=UUID(placed.routing.conversation_id),
        sequence=placed.routing.sequence,
        opens=placed.opens,
        value=placed.routing.model_dump_json(exclude_none=True),
        decided_at=placed.routing.decided_at,
        came=came_of(placed.contact),
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
