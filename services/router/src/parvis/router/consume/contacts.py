"""Contacts of a batch in, their decisions out: stored at once where they surely open a conversation, else under its lock."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common import clock, metrics
from parvis.common.bus.consumer import Item
from parvis.common.contact import ContactReceived
from parvis.common.database import Database
from parvis.common.errors import Poison
from parvis.common.language import language_of
from parvis.common.logs import logger
from parvis.common.routing import Routing
from parvis.common.structs import reader_of, written
from parvis.router import store
from parvis.router.consume.mail import Arrival, Decided
from parvis.router.decide import Placed, Placing, came_of, decide, names_another, opening, place, uuid_of
from parvis.router.rules import Rules
from parvis.router.tables import DecisionRow

log = logger()

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


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
        return [self._arrival(item, rules) for item in items if item.event.TYPE == ContactReceived.TYPE]

    async def open(self, database: Database, arrivals: Sequence[Arrival]) -> dict[str, Decided]:
        """Decide and store those that surely open a conversation; gives nothing for those that may not, or were decided before."""
        at, opened, rows = self.now(), dict[str, Decided](), list[store.Opening]()
        for arrival in _surely_opening(arrivals):
            routing = opening(arrival.contact, arrival.decision, self.placing, at=at)
            opened[arrival.key] = one = Decided(routing, written(routing), opens=True)
            rows.append(_opening(arrival, one))
        if rows:
            async with database.bare() as connection:
                for key in await store.open_conversations(connection, rows, at=at):
                    del opened[key]
            _tell(opened)
        return opened

    async def decide(self, connection: AsyncConnection, arrivals: Sequence[Arrival]) -> dict[str, Decided]:
        """The decision about every arrival, stored before or stored now, whatever conversation it belongs to."""
        rows = await store.decisions_of(connection, [UUID(arrival.key) for arrival in arrivals])
        decided = {str(key): _read(row) for key, row in rows.items()}
        # The same contact may stand in a batch twice: the first record of an id wins.
        in_order = list(
            {arrival.key: arrival for arrival in reversed(arrivals) if arrival.key not in decided}.values()
        )[::-1]
        if not in_order:
            return decided
        known = await store.lock_known(connection, [arrival.contact for arrival in in_order])
        at = self.now()
        placed = [place(arrival.contact, arrival.decision, known, self.placing, at=at) for arrival in in_order]
        new = {arrival.key: _decided(one) for arrival, one in zip(in_order, placed, strict=True)}
        touched = {UUID(one.routing.conversation_id) for one in placed}
        stored = [_row(arrival, new[arrival.key]) for arrival in in_order]
        await store.record_decisions(connection, stored, [known.conversations[id_] for id_ in sorted(touched)])
        for one in await store.record_names(connection, placed):
            log.error("reference.collided", contact_id=one.contact.contact_id, reference=one.contact.reference)
        _tell(new)
        return decided | new

    def _arrival(self, item: Item, rules: Rules) -> Arrival:
        contact: ContactReceived = item.event  # pyright: ignore[reportAssignmentType] (or its struct, by its type)
        key = contact.contact_id
        if not _ID.match(key):
            key = str(uuid_of(key) or _no_id())
        language = contact.language or language_of(contact.personal.text)
        decision = decide(contact, rules, self.placing.directory, language=language)
        return Arrival(key, contact, item.received, decision)


def _no_id() -> NoReturn:
    raise Poison("the contact id is no UUID")


def _surely_opening(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Those that name no conversation, each once; of a sender on a channel the first, unless an earlier contact may continue."""
    found: dict[str, Arrival] = {}
    wrote: set[tuple[str | None, str]] = set()
    for arrival in arrivals:
        contact = arrival.contact
        sender = (contact.contact_point_hash, contact.channel)
        if names_another(contact):
            wrote.add(sender)
        elif contact.contact_point_hash is None:
            found.setdefault(arrival.key, arrival)
        elif sender not in wrote:
            wrote.add(sender)
            found.setdefault(arrival.key, arrival)
    return list(found.values())


def _opening(arrival: Arrival, decided: Decided) -> store.Opening:
    contact, routing = arrival.contact, decided.routing
    return store.Opening(
        arrival.key, routing.conversation_id, contact.reference, routing.department, routing.procedure,
        contact.received_at, decided.value.decode(), came_of(contact), contact.contact_point_hash, contact.channel,
    )  # fmt: skip


def _row(arrival: Arrival, decided: Decided) -> DecisionRow:
    return DecisionRow(
        id=UUID(arrival.key),
        kind="contact",
        conversation_id=UUID(decided.routing.conversation_id),
        sequence=decided.routing.sequence,
        opens=decided.opens,
        value=decided.value.decode(),
        decided_at=decided.routing.decided_at,
        came=came_of(arrival.contact),
    )


def _decided(placed: Placed) -> Decided:
    return Decided(placed.routing, written(placed.routing), placed.opens)


def _read(row: DecisionRow) -> Decided:
    value = row.value.encode()
    return Decided(reader_of(Routing)(value), value, row.opens)


def _tell(decided: Mapping[str, Decided]) -> None:
    departments = Counter(one.routing.department for one in decided.values())
    for department, count in departments.items():
        metrics.contacts_routed.labels(department).inc(count)
    log.info("contacts.routed", count=len(decided))
    if not log.is_enabled_for(logging.DEBUG):  # a line a contact costs more than routing it
        return
    for key, one in decided.items():
        routing = one.routing
        log.debug(
            "contact.routed",
            contact_id=key,
            conversation_id=routing.conversation_id,
            sequence=routing.sequence,
            department=routing.department,
            rule=routing.rule,
        )
