"""Contacts that may continue a conversation in, their decision rows out, or rows that wait: one transaction locks, places, stores."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import ReceivedRecord
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.errors import Poison
from parvis.common.contract.msgspec_models import encode_json, json_decoder
from parvis.common.contract.reply import ReplyRequested
from parvis.common.contract.routing.decisions import Routing
from parvis.common.runtime import clock, metrics
from parvis.common.runtime.logs import logger
from parvis.router import store
from parvis.router.consume.record_factory import IncomingContact, StoredRouting
from parvis.router.decide.assignment import AssignedContact, AssignmentContext, place
from parvis.router.decide.conversation_history import encode_source
from parvis.router.decide.find_conversation import KnownConversations, WaitingContact, waiting_key
from parvis.router.models.stored_rows import DecisionRow, WaitingRow
from parvis.router.store.waiting_row import record_of, waiting_row_of

log = logger()

Decisions = dict[str, StoredRouting]


@dataclass(frozen=True)
class Conversations:
    """The general way of a contact: what it may belong to is locked, and what only its sender knows waits.

    `read` gives the arrival of a record, as the rules decide it now.
    """

    placing: AssignmentContext
    read: Callable[[ReceivedRecord], IncomingContact]
    now: clock.Clock

    async def decide(self, connection: AsyncConnection, arrivals: Sequence[IncomingContact]) -> Decisions:
        """The decision about every arrival, stored before or stored now; none about those that wait."""
        rows = await store.find_decisions(connection, [UUID(arrival.key) for arrival in arrivals])
        decided = {str(key): read_decided(row) for key, row in rows.items()}
        # The same contact may stand in a batch twice: the first record of an id wins.
        fresh = {arrival.key: arrival for arrival in reversed(arrivals) if arrival.key not in decided}
        if not fresh:
            return decided
        keys = {key for arrival in fresh.values() if (key := waiting_key(arrival.contact))}
        behind = await store.lock_waiting_behind(connection, [UUID(key) for key in fresh], keys)
        for row in behind:
            fresh.pop(str(row.contact_id), None)
        in_order = [arrival for arrival in arrivals if fresh.get(arrival.key) is arrival]
        if not in_order:
            return decided
        queue = self.opened(behind)
        came = {arrival.key: arrival for arrival in (*in_order, *(arrival for arrival, _ in queue))}
        # Who waits behind a contact in trouble needs nothing of what is in trouble: everybody would wait for it again.
        stuck = {(row.sender_hash, row.channel) for row in behind if row.why == "trouble"}
        free = [arrival.contact for arrival in came.values() if waiting_key(arrival.contact) not in stuck]
        known = await self.learn(connection, free, behind)
        for _, held in queue:
            if key := waiting_key(held.contact):
                known.waiting.setdefault(key, []).append(held)
        at = self.now()
        outcomes = [
            one for arrival in in_order for one in place(arrival.contact, arrival.decision, known, self.placing, at=at)
        ]
        placed = [one for one in outcomes if isinstance(one, AssignedContact)]
        return decided | await self.settle(connection, placed, known, came, behind, at)

    async def learn(
        self, connection: AsyncConnection, contacts: Sequence[ContactReceived], behind: Sequence[WaitingRow]
    ) -> KnownConversations:
        """What the contacts may belong to, locked; and who of their senders was asked lately."""
        candidates = [id_ for row in behind for id_ in row.candidates]
        windows, key = self.placing.windows, self.placing.thread_key_secret
        known = await store.lock_candidates(connection, contacts, windows, key, candidates=candidates)
        doubtful = {
            key for contact in contacts if (key := waiting_key(contact)) and len(known.recent.get(key[0], ())) > 1
        }
        if doubtful:
            await store.read_last_questions(connection, known, doubtful)
        return known

    async def settle(
        self,
        connection: AsyncConnection,
        placed: Sequence[AssignedContact],
        known: KnownConversations,
        came: Mapping[str, IncomingContact],
        behind: Sequence[WaitingRow],
        at: datetime,
    ) -> Decisions:
        """Store what was placed, and what waits now. `behind` are the rows that waited before, locked; `came` the records."""
        waited = {row.contact_id: row for row in behind}
        decided = {_key(one.contact): StoredRouting(one.routing, encode_json(one.routing), one.opens) for one in placed}
        if placed:
            rows = [_row(one, decided[_key(one.contact)]) for one in placed]
            touched = {UUID(one.routing.conversation_id) for one in placed}
            await store.insert_decisions(connection, rows, [known.conversations[id_] for id_ in sorted(touched)])
            for one in await store.record_references(connection, placed):
                log.error("reference.collided", contact_id=one.contact.contact_id, reference=one.contact.reference)
        await store.mark_assigned(connection, [id_ for id_ in map(UUID, decided) if id_ in waited], at)
        await self._hold(connection, known, came, waited, at)
        tell(decided)
        return decided

    async def _hold(
        self,
        connection: AsyncConnection,
        known: KnownConversations,
        came: Mapping[str, IncomingContact],
        waited: Mapping[UUID, WaitingRow],
        at: datetime,
    ) -> None:
        rows = [
            waiting_row_of(held, came[_key(held.contact)].record, at)
            for queue in known.waiting.values()
            for held in queue
        ]
        held = [row for row in rows if row.contact_id not in waited]
        changed = [row for row in rows if row.contact_id in waited and _differs(row, waited[row.contact_id])]
        await store.insert_waiting(connection, held)
        await store.update_waiting(connection, changed)
        asked = [
            (row.sender_hash, row.channel) for row in (*held, *changed) if row.why == "question" and row.sender_hash
        ]
        await store.record_questions(connection, asked, at)
        for row in held:
            log.info("contact.held", contact_id=str(row.contact_id), channel=row.channel, reason=row.why)

    def opened(self, rows: Sequence[WaitingRow]) -> list[tuple[IncomingContact, WaitingContact]]:
        """What waits, read again, as the rules decide it now."""
        found: list[tuple[IncomingContact, WaitingContact]] = []
        for row in rows:
            with suppress(Poison):  # after a change of ours: the task that looks after what waits buries it
                arrival = self.read(record_of(row))
                held = WaitingContact(arrival.contact, arrival.decision, row.why, row.due_at, row.candidates)
                if row.question:
                    held.question = ReplyRequested.model_validate_json(row.question)
                found.append((arrival, held))
        return found


def read_decided(row: DecisionRow) -> StoredRouting:
    """A decision as it was stored."""
    value = row.value.encode()
    return StoredRouting(json_decoder(Routing)(value), value, row.opens)


def _key(contact: ContactReceived) -> str:
    return str(UUID(contact.contact_id))


def _row(placed: AssignedContact, decided: StoredRouting) -> DecisionRow:
    return DecisionRow(
        id=UUID(placed.contact.contact_id),
        kind="contact",
        conversation_id=UUID(decided.routing.conversation_id),
        sequence=decided.routing.sequence,
        opens=decided.opens,
        value=decided.value.decode(),
        decided_at=decided.routing.decided_at,
        came=encode_source(placed.contact),
    )


def _differs(row: WaitingRow, was: WaitingRow) -> bool:
    return (row.why, row.due_at, row.candidates) != (was.why, was.due_at, was.candidates)


def tell(decided: Mapping[str, StoredRouting]) -> None:
    """Count decisions, and log them."""
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
