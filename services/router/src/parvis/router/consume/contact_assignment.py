"""Assigns contacts to conversations and stores the decisions: new conversations in one statement, all others under row locks."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.errors import Poison
from parvis.common.contract.pydantic_to_msgspec import encode_json, json_decoder
from parvis.common.contract.routing.decisions import Routing
from parvis.common.runtime import clock, metrics
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database
from parvis.router.consume.rule_evaluation import EvaluatedContact, RuleEvaluator
from parvis.router.decide.assignment_context import AssignmentContext
from parvis.router.decide.build_routing import may_continue, route_new_conversation
from parvis.router.decide.conversation_assignment import AssignedContact, assign_contact
from parvis.router.decide.conversation_history import encode_source
from parvis.router.decide.conversation_working_set import ConversationWorkingSet, WaitingContact, waiting_key
from parvis.router.decide.lookup_keys import lookup_keys
from parvis.router.decide.thread_keys import thread_keys_of
from parvis.router.models.stored_rows import DecisionRow, WaitingRow
from parvis.router.store import conversation_lookup, conversations, decisions, new_conversations, waiting_queue
from parvis.router.store.waiting_row_codec import question_of, record_of, waiting_row_of

log = logger()


class StoredRouting(msgspec.Struct, frozen=True, gc=False):
    """A contact's routing, the routing's stored bytes, and whether the contact opened its conversation."""

    routing: Routing
    value: bytes
    opens: bool


Routings = dict[str, StoredRouting]


@dataclass
class AssignmentTransaction:
    """The state of one transaction: the locked conversations, the contacts by key, the locked waiting rows."""

    known: ConversationWorkingSet
    incoming: Mapping[str, EvaluatedContact]
    locked_rows: Sequence[WaitingRow]
    at: datetime


@dataclass(frozen=True)
class ContactAssigner:
    """Assigns each contact a conversation and a sequence number in it, or stores it as waiting."""

    reader: RuleEvaluator
    context: AssignmentContext
    now: clock.Clock = clock.now

    async def open_conversations(self, database: Database, incoming: Sequence[EvaluatedContact]) -> Routings:
        """Store the contacts that open a conversation; the statement leaves out those that are known.

        Gives:  routings, without the contacts that may continue a conversation or were decided before.
        Raises: ConcurrentUpdate, when another router stored one of them meanwhile.
        """
        at, opened, rows = self.now(), Routings(), list[new_conversations.NewConversation]()
        for contact in _likely_openings(incoming):
            routing = route_new_conversation(contact.contact, contact.decision, self.context, at=at)
            opened[contact.key] = stored = StoredRouting(routing, encode_json(routing), opens=True)
            rows.append(_new_conversation(contact, stored, self.context.thread_key_secret))
        if rows:
            sender_channels = self.context.windows.sender_channels
            async with database.autocommit() as connection:
                for key in await new_conversations.insert_new_conversations(connection, rows, sender_channels, at=at):
                    del opened[key]
            log_routings(opened)
        return opened

    async def assign(self, connection: AsyncConnection, incoming: Sequence[EvaluatedContact]) -> Routings:
        """The routings of all contacts, whether stored before or now; waiting contacts have none.

        Raises: Poison, when a stored decision is unreadable; ConcurrentUpdate.
        """
        rows = await decisions.find_decisions(connection, [UUID(contact.key) for contact in incoming])
        stored = {str(id_): decode_routing(row) for id_, row in rows.items()}
        # A batch may contain the same contact twice: the first record of an id wins.
        fresh = {contact.key: contact for contact in reversed(incoming) if contact.key not in stored}
        if not fresh:
            return stored
        keys = {key for contact in fresh.values() if (key := waiting_key(contact.contact))}
        locked = await waiting_queue.lock_waiting_behind(connection, [UUID(key) for key in fresh], keys)
        for row in locked:
            fresh.pop(str(row.contact_id), None)
        in_order = [contact for contact in incoming if fresh.get(contact.key) is contact]
        return stored | await self._assign_fresh(connection, in_order, locked) if in_order else stored

    async def _assign_fresh(
        self, connection: AsyncConnection, fresh: Sequence[EvaluatedContact], locked: Sequence[WaitingRow]
    ) -> Routings:
        queue = self.reread_queue(locked)
        incoming = {contact.key: contact for contact in (*fresh, *(contact for contact, _ in queue))}
        # A contact queued behind a failing one must not touch the failing one's rows, or it would fail with it.
        stuck = {(row.sender_hash, row.channel) for row in locked if row.why == "trouble"}
        free = [contact.contact for contact in incoming.values() if waiting_key(contact.contact) not in stuck]
        known = await self.lock_candidates(connection, free, locked)
        for _, waiting in queue:
            if key := waiting_key(waiting.contact):
                known.waiting.setdefault(key, []).append(waiting)
        work = AssignmentTransaction(known, incoming, locked, self.now())
        outcomes = [
            outcome
            for contact in fresh
            for outcome in assign_contact(contact.contact, contact.decision, known, self.context, at=work.at)
        ]
        assigned = [outcome for outcome in outcomes if isinstance(outcome, AssignedContact)]
        return await self.store(connection, assigned, work)

    async def lock_candidates(
        self, connection: AsyncConnection, contacts: Sequence[ContactReceived], locked: Sequence[WaitingRow]
    ) -> ConversationWorkingSet:
        """Lock every conversation that the contacts may belong to. Also reads when their senders were last asked a question."""
        candidates = [id_ for row in locked for id_ in row.candidates]
        keys = lookup_keys(contacts, self.context.windows, self.context.thread_key_secret)
        known = await conversation_lookup.lock_candidates(connection, keys, candidates=candidates)
        doubtful = {
            key for contact in contacts if (key := waiting_key(contact)) and len(known.recent.get(key[0], ())) > 1
        }
        if doubtful:
            await conversation_lookup.read_last_questions(connection, known, doubtful)
        return known

    async def store(
        self, connection: AsyncConnection, assigned: Sequence[AssignedContact], work: AssignmentTransaction
    ) -> Routings:
        """Store the decisions of the assigned contacts, and the contacts that must wait."""
        routings = {
            _key(contact.contact): StoredRouting(contact.routing, encode_json(contact.routing), contact.opens)
            for contact in assigned
        }
        if assigned:
            rows = [_decision_row(contact, routings[_key(contact.contact)]) for contact in assigned]
            changed = {UUID(contact.routing.conversation_id) for contact in assigned}
            await decisions.insert_decisions(
                connection, rows, [work.known.conversations[id_] for id_ in sorted(changed)]
            )
            for contact in await conversations.record_references(connection, assigned):
                log.error(
                    "reference.collided", contact_id=contact.contact.contact_id, reference=contact.contact.reference
                )
        waited = {row.contact_id for row in work.locked_rows}
        await waiting_queue.mark_assigned(connection, [id_ for id_ in map(UUID, routings) if id_ in waited], work.at)
        await self._store_waiting(connection, work)
        log_routings(routings)
        return routings

    async def _store_waiting(self, connection: AsyncConnection, work: AssignmentTransaction) -> None:
        before = {row.contact_id: row for row in work.locked_rows}
        rows = [
            waiting_row_of(waiting, work.incoming[_key(waiting.contact)].record, work.at)
            for queue in work.known.waiting.values()
            for waiting in queue
        ]
        new = [row for row in rows if row.contact_id not in before]
        changed = [row for row in rows if row.contact_id in before and _differs(row, before[row.contact_id])]
        await waiting_queue.insert_waiting(connection, new)
        await waiting_queue.update_waiting(connection, changed)
        question_keys = [
            (row.sender_hash, row.channel) for row in (*new, *changed) if row.why == "question" and row.sender_hash
        ]
        await waiting_queue.record_questions(connection, question_keys, work.at)
        for row in new:
            log.info("waiting-contact.stored", contact_id=str(row.contact_id), channel=row.channel, reason=row.why)

    def reread_queue(self, rows: Sequence[WaitingRow]) -> list[tuple[EvaluatedContact, WaitingContact]]:
        """The waiting contacts of these rows, decided again by the current rules; unreadable rows are left out."""
        queue: list[tuple[EvaluatedContact, WaitingContact]] = []
        for row in rows:
            with suppress(Poison):  # WaitingContacts dead-letters it
                contact = self.reader.read_record(record_of(row))
                waiting = WaitingContact(contact.contact, contact.decision, row.why, row.due_at, row.candidates)
                waiting.question = question_of(row)
                queue.append((contact, waiting))
        return queue


def decode_routing(row: DecisionRow) -> StoredRouting:
    """Decode the routing of a stored decision. Raises: Poison, when the row is unreadable."""
    value = row.value.encode()
    try:
        return StoredRouting(json_decoder(Routing)(value), value, row.opens)
    except msgspec.MsgspecError as error:
        raise Poison(f"the decision {row.id} is unreadable") from error


def log_routings(routings: Mapping[str, StoredRouting]) -> None:
    """Count the decisions by department, and log them."""
    for department, count in Counter(stored.routing.department for stored in routings.values()).items():
        metrics.contacts_routed.labels(department).inc(count)
    log.info("contacts.routed", count=len(routings))
    if not log.is_enabled_for(logging.DEBUG):  # a log line costs more than routing the contact
        return
    for key, stored in routings.items():
        routing = stored.routing
        log.debug(
            "contact.routed",
            contact_id=key,
            conversation_id=routing.conversation_id,
            sequence=routing.sequence,
            department=routing.department,
            rule=routing.rule,
        )


def _likely_openings(incoming: Sequence[EvaluatedContact]) -> Iterable[EvaluatedContact]:
    """Contacts that name no conversation, each id once and each sender once, unless an earlier contact may continue one."""
    new: dict[str, EvaluatedContact] = {}
    senders: set[str | None] = set()
    for contact in incoming:
        sender = contact.contact.contact_point_hash
        if may_continue(contact.contact):
            senders.add(sender)
        elif sender is None:
            new.setdefault(contact.key, contact)
        elif sender not in senders:
            senders.add(sender)
            new.setdefault(contact.key, contact)
    return new.values()


def _new_conversation(
    incoming: EvaluatedContact, stored: StoredRouting, secret: bytes
) -> new_conversations.NewConversation:
    contact, routing, keys = incoming.contact, stored.routing, thread_keys_of(incoming.contact, secret)
    return new_conversations.NewConversation(
        incoming.key, routing.conversation_id, contact.reference, routing.department, routing.procedure,
        contact.received_at, stored.value.decode(), encode_source(contact), contact.contact_point_hash, contact.channel,
        keys.subject, keys.stored,
    )  # fmt: skip


def _key(contact: ContactReceived) -> str:
    return str(UUID(contact.contact_id))


def _decision_row(assigned: AssignedContact, stored: StoredRouting) -> DecisionRow:
    return DecisionRow(
        id=UUID(assigned.contact.contact_id),
        kind="contact",
        conversation_id=UUID(stored.routing.conversation_id),
        sequence=stored.routing.sequence,
        opens=stored.opens,
        value=stored.value.decode(),
        decided_at=stored.routing.decided_at,
        source=encode_source(assigned.contact),
    )


def _differs(row: WaitingRow, before: WaitingRow) -> bool:
    return (row.why, row.due_at, row.candidates) != (before.why, before.due_at, before.candidates)
