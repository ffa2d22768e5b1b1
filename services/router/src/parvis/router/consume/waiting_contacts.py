"""Releases waiting contacts: when their question stays unanswered too long, or when a retry succeeds."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import Record
from parvis.common.contract.errors import Poison, RowLocked, TopicMissing, Unavailable
from parvis.common.runtime import clock, metrics
from parvis.common.runtime.health import Health
from parvis.common.runtime.interruptible_waits import first_completed
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database
from parvis.router.consume.contact_assignment import AssignmentTransaction, ContactAssigner
from parvis.router.consume.publish_waiting_contacts import WaitingPublisher
from parvis.router.consume.rule_evaluation import EvaluatedContact
from parvis.router.decide.conversation_assignment import (
    AssignedContact,
    assign_contact,
    assign_given_up,
    assign_unanswered,
)
from parvis.router.decide.conversation_working_set import ConversationWorkingSet, waiting_key
from parvis.router.models.stored_rows import WaitingRow
from parvis.router.store import decisions, waiting_queue
from parvis.router.store.decisions import ConcurrentUpdate
from parvis.router.store.waiting_row_codec import parked_row, record_of

log = logger()

POLL_S = 1.0
_COUNT_EVERY_S = 5.0
_ROWS_AT_ONCE = 100
MAX_ATTEMPTS = 6  # over a quarter of an hour; then a person reads it
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=10)
LATE_AFTER = timedelta(minutes=10)
# Raised when a damaged row is assigned: a department that no longer exists, a value that is not JSON.
_DAMAGED_ROW = (ValueError, LookupError, TypeError, DBAPIError)


@dataclass
class WaitingContacts:
    """Processes the rows of `router.waiting`. Any router of the town may process any row.

    Order:   contacts of one sender and channel are assigned in order of arrival; other senders are not affected.
    Backoff: retried with growing delays; after the last attempt it goes to triage in a conversation of its own.
    Poison:  an unreadable row becomes a dead letter with its bytes; the rows after it go on.
    Retry:   decision and row are updated in one transaction; the row is deleted when Kafka has acknowledged its records.
    """

    database: Database
    assigner: ContactAssigner
    publisher: WaitingPublisher
    health: Health
    limit_s: float = 10.0
    now: clock.Clock = clock.now
    _due: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Wake the task: a contact was assigned, or a question must be sent."""
        self._due.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Release and publish what is due until the service stops."""
        loop, counted_at = asyncio.get_running_loop(), 0.0
        while not stopping.is_set():
            try:
                await self.turn()
                if loop.time() - counted_at >= _COUNT_EVERY_S:
                    await self.count()
                    counted_at = loop.time()
            except Unavailable as error:
                log.warning("waiting.delayed", reason=str(error))
            await first_completed(self._due.wait(), stopping.wait(), timeout_s=POLL_S)
            self._due.clear()

    async def turn(self) -> None:
        """Assign every contact that is due, then publish the assigned contacts and the new questions."""
        at = self.now()
        async with self.database.transaction() as connection:
            await waiting_queue.promote_first_in_queue(connection, at)
            due = await waiting_queue.find_due(connection, at, most=_ROWS_AT_ONCE)
        for contact_id in due:
            await self._release(contact_id)
        while await self.publisher.publish():
            pass

    async def park(self, incoming: EvaluatedContact, cause: Exception) -> None:
        """Store a contact that takes too long, to be retried later."""
        contact, contact_id, reason = incoming.contact, UUID(incoming.key), self._reason(cause)
        at, key = self.now(), waiting_key(contact)
        async with self.database.transaction() as connection:
            if await decisions.find_decisions(connection, [contact_id]):
                return
            before = await waiting_queue.lock_waiting_behind(connection, [contact_id], [key] if key else [])
            if any(row.contact_id == contact_id for row in before):
                return
            row = parked_row(contact, incoming.record, at, due_at=at + FIRST_WAIT, reason=reason)
            await waiting_queue.insert_waiting(connection, [replace(row, why="queued", due_at=None) if before else row])
        log.warning("slow-contact.postponed", contact_id=contact.contact_id, reason=reason)

    async def park_decided(self, rows: Sequence[WaitingRow], missing: TopicMissing) -> list[Record]:
        """Store decided contacts and requests whose topic does not exist; they are published again and again until it does.

        Gives: their records.
        """
        at, parked = self.now(), list[Record]()
        async with self.database.transaction() as connection:
            stored = await self.publisher.find_decisions(connection, rows)
            for row in rows:
                if row.contact_id not in stored:
                    continue
                records = self.publisher.decided_records(row, stored)
                if any(record.topic in missing.topics for record in records):
                    await waiting_queue.insert_published_later(connection, replace(row, reason=str(missing)), at)
                    log.warning("department-topic.missing", contact_id=str(row.contact_id), reason=str(missing))
                    parked += records
        return parked

    async def count(self) -> None:
        """Measure how many contacts wait; /ready notes an overdue one."""
        async with self.database.transaction() as connection:
            counts = await waiting_queue.count_waiting(connection)
        for why in ("question", "trouble", "queued", "unpublished"):
            metrics.contacts_waiting.labels(why).set(counts.get(why, (0, None))[0])
        first = min((due_at for _, due_at in counts.values() if due_at), default=None)
        late = max(timedelta(0), self.now() - first) if first else timedelta(0)
        metrics.contacts_overdue_seconds.set(late.total_seconds())
        if late > LATE_AFTER:
            total = sum(count for count, _ in counts.values())
            self.health.add_note(
                "waiting", f"{total} contacts wait, the first is {late.total_seconds() / 60:.0f} min late"
            )
        else:
            self.health.notes.pop("waiting", None)

    async def _release(self, contact_id: UUID) -> None:
        try:
            async with asyncio.timeout(self.limit_s), self.database.transaction() as connection:
                await self._assign_due(connection, contact_id)
        except ConcurrentUpdate:
            return  # it stays due and is retried at the next turn
        except (TimeoutError, RowLocked) as cause:
            await self._postpone(contact_id, self._reason(cause))
        except Poison as error:
            await self._bury(contact_id, str(error))
        except _DAMAGED_ROW as error:
            log.exception("waiting-contact.failed", contact_id=str(contact_id))
            await self._postpone(contact_id, f"{type(error).__name__} while it was assigned")

    async def _assign_due(self, connection: AsyncConnection, contact_id: UUID) -> None:
        at = self.now()
        head = await waiting_queue.lock_due(connection, contact_id, at)
        if head is None:
            return  # another router processes it
        rows = await self._queue_of(connection, head)
        stored = await decisions.find_decisions(connection, [row.contact_id for row in rows])
        await waiting_queue.mark_assigned(connection, stored, at)
        if head.contact_id in stored:
            return
        rows = [row for row in rows if row.contact_id not in stored]
        if head.attempts >= MAX_ATTEMPTS:
            await self._give_up(connection, head, at)
        else:
            await self._assign_queue(connection, rows, at)

    async def _queue_of(self, connection: AsyncConnection, head: WaitingRow) -> list[WaitingRow]:
        if head.sender_hash is None:
            return [head]
        rows = await waiting_queue.lock_waiting_behind(
            connection, [head.contact_id], [(head.sender_hash, head.channel)]
        )
        return [head, *(row for row in rows if row.contact_id != head.contact_id)]

    async def _assign_queue(self, connection: AsyncConnection, rows: Sequence[WaitingRow], at: datetime) -> None:
        self.assigner.reader.read_record(record_of(rows[0]))  # raises Poison if the head itself is unreadable
        queue, context = self.assigner.reread_queue(rows), self.assigner.context
        incoming = {contact.key: contact for contact, _ in queue}
        known = await self.assigner.lock_candidates(
            connection, [contact.contact for contact in incoming.values()], rows
        )
        waiting = [contact for _, contact in queue]
        if rows[0].why == "question":
            assigned = assign_unanswered(waiting, known, context, at=at)
        else:
            assigned = [
                outcome
                for contact in waiting
                for outcome in assign_contact(contact.contact, contact.decision, known, context, at=at)
                if isinstance(outcome, AssignedContact)
            ]
        await self.assigner.store(connection, assigned, AssignmentTransaction(known, incoming, rows, at))

    async def _give_up(self, connection: AsyncConnection, head: WaitingRow, at: datetime) -> None:
        """Assign the head alone, without its candidates; each contact queued behind it is then tried on its own."""
        incoming, known = self.assigner.reader.read_record(record_of(head)), ConversationWorkingSet()
        assigned = assign_given_up(incoming.contact, known, self.assigner.context, at=at)
        log.error("waiting-contact.given_up", contact_id=incoming.key, reason=head.reason)
        await self.assigner.store(connection, [assigned], AssignmentTransaction(known, {}, [head], at))

    async def _postpone(self, contact_id: UUID, reason: str) -> None:
        """Schedule another attempt; after the last one the contact becomes a dead letter with its bytes."""
        at = self.now()
        async with self.database.transaction() as connection:
            head = await waiting_queue.lock_due(connection, contact_id, at)
            if head is None:
                return
            attempts = head.attempts + 1
            wait = min(FIRST_WAIT * 3 ** (attempts - 1), LONGEST_WAIT)
            if attempts <= MAX_ATTEMPTS + 1:
                postponed = replace(head, attempts=attempts, reason=reason, due_at=at + wait)
                await waiting_queue.update_waiting(connection, [postponed])
        if attempts > MAX_ATTEMPTS + 1:
            await self.publisher.bury(head, reason)
            return
        log.warning(
            "waiting-contact.postponed",
            contact_id=str(contact_id),
            attempt=attempts,
            reason=reason,
            wait_s=wait.total_seconds(),
        )

    async def _bury(self, contact_id: UUID, reason: str) -> None:
        async with self.database.transaction() as connection:
            head = await waiting_queue.lock_due(connection, contact_id, self.now())
        if head:
            await self.publisher.bury(head, reason)

    def _reason(self, cause: Exception) -> str:
        return str(cause) or f"took over {self.limit_s:g} s"
