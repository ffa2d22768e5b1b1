"""What waits in, decisions and records out: by the answer to a question, by its due time, or when its own trouble has passed."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.bus.cloudevents import Record
from parvis.common.bus.dead_letters import build_dead_letter
from parvis.common.bus.producer import Producer
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.errors import RowLocked, Unavailable
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime import clock, metrics
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database
from parvis.router import store
from parvis.router.consume.contact_assignment import Conversations, read_decided
from parvis.router.consume.record_factory import IncomingContact, RecordFactory
from parvis.router.decide.assignment import AssignedContact, place, place_given_up, place_unanswered
from parvis.router.decide.find_conversation import KnownConversations, waiting_key
from parvis.router.models.stored_rows import WaitingRow
from parvis.router.store.waiting_row import parked_row, record_of

log = logger()

LOOK_EVERY_S = 1.0
_COUNT_EVERY_S = 5.0
_AT_ONCE = 100
MOST_ATTEMPTS = 6  # over a quarter of an hour; then people have it
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=10)
STANDS_LONG = timedelta(minutes=10)


@dataclass
class Waiting:
    """Contacts that cannot be placed yet, in `router.waiting`. Any router of the town takes up any of them.

    Order:  of one sender and channel they are placed in the order in which they came; those of others flow.
    Trouble: tried again with growing waits; after the last attempt it goes to people, in a conversation of its own.
    Retry:  a decision is stored and its row kept in one transaction; the row goes when Kafka has acknowledged what follows.
    """

    database: Database
    producer: Producer
    conversations: Conversations
    mail: RecordFactory
    health: Health
    dead_letter_topic: str
    limit_s: float = 10.0
    now: clock.Clock = clock.now
    _due: asyncio.Event = field(default_factory=asyncio.Event)

    def kick(self) -> None:
        """Wake the task: something was placed, or is to be asked."""
        self._due.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Release what is due until the service stops."""
        loop, counted_at = asyncio.get_running_loop(), 0.0
        while not stopping.is_set():
            try:
                await self.turn()
                if loop.time() - counted_at >= _COUNT_EVERY_S:
                    await self.count()
                    counted_at = loop.time()
            except Unavailable as error:
                log.warning("waiting.delayed", reason=str(error))
            await self._rest(stopping)

    async def turn(self) -> None:
        """Place everything that is due, then tell Kafka of all that was placed or is to be asked."""
        async with self.database.transaction() as connection:
            due = await store.find_due(connection, self.now(), most=_AT_ONCE)
        for id_ in due:
            await self._release(id_)
        while await self._tell():
            pass

    async def park(self, arrival: IncomingContact, trouble: Exception) -> None:
        """Keep a record that takes too long, and try it again later; the records after it flow."""
        contact, id_, reason = arrival.contact, UUID(arrival.key), self._reason(trouble)
        at, key = self.now(), waiting_key(contact)
        async with self.database.transaction() as connection:
            if await store.find_decisions(connection, [id_]):
                return
            behind = await store.lock_waiting_behind(connection, [id_], [key] if key else [])
            if any(row.contact_id == id_ for row in behind):
                return
            row = parked_row(contact, arrival.record, at, due_at=at + FIRST_WAIT, reason=reason)
            await store.insert_waiting(connection, [replace(row, why="queued", due_at=None) if behind else row])
        log.warning("contact.parked", contact_id=contact.contact_id, reason=reason)

    def _reason(self, trouble: Exception) -> str:
        return str(trouble) or f"took over {self.limit_s:g} s"

    # by its due time

    async def _release(self, id_: UUID) -> None:
        try:
            async with asyncio.timeout(self.limit_s), self.database.transaction() as connection:
                await self._place_due(connection, id_)
        except store.ConcurrentUpdate:
            return  # it stays due
        except (TimeoutError, RowLocked) as trouble:
            await self._postpone(id_, self._reason(trouble))
        except Unavailable:
            raise
        except Exception as error:
            log.exception("waiting.failed", contact_id=str(id_))
            await self._postpone(id_, f"{type(error).__name__} in the handler")

    async def _place_due(self, connection: AsyncConnection, id_: UUID) -> None:
        at = self.now()
        head = await store.lock_due(connection, id_, at)
        if head is None:
            return  # another router has it
        rows = await self._queue_of(connection, head)
        decided = await store.find_decisions(connection, [row.contact_id for row in rows])
        await store.mark_assigned(connection, decided, at)
        rows = [row for row in rows if row.contact_id not in decided]
        if head.contact_id in decided:
            await self._next(connection, rows, at)
        elif head.attempts >= MOST_ATTEMPTS:
            await self._give_up(connection, rows, at)
        else:
            await self._place(connection, rows, at)

    async def _queue_of(self, connection: AsyncConnection, head: WaitingRow) -> list[WaitingRow]:
        if head.sender_hash is None:
            return [head]
        rows = await store.lock_waiting_behind(connection, [head.contact_id], [(head.sender_hash, head.channel)])
        return [head, *(row for row in rows if row.contact_id != head.contact_id)]

    async def _place(self, connection: AsyncConnection, rows: Sequence[WaitingRow], at: datetime) -> None:
        queue = self.conversations.opened(rows)
        arrivals = {arrival.key: arrival for arrival, _ in queue}
        known = await self.conversations.learn(connection, [arrival.contact for arrival in arrivals.values()], rows)
        waits = [held for _, held in queue]
        placed: list[AssignedContact] = []
        if rows[0].why == "question":
            placed = place_unanswered(waits, known, self.conversations.placing, at=at)
        else:
            for held in waits:
                outcomes = place(held.contact, held.decision, known, self.conversations.placing, at=at)
                placed += [one for one in outcomes if isinstance(one, AssignedContact)]
        await self.conversations.settle(connection, placed, known, arrivals, rows, at)

    async def _give_up(self, connection: AsyncConnection, rows: Sequence[WaitingRow], at: datetime) -> None:
        """Only the head: what made it wait is looked at no more. What queued behind it has a try of its own."""
        head, known = rows[0], KnownConversations()
        received = record_of(head)
        contact: ContactReceived = received.event((ContactReceived,))  # pyright: ignore[reportAssignmentType] (by its type)
        placed = place_given_up(contact, known, self.conversations.placing, at=at)
        log.error("contact.given_up", contact_id=contact.contact_id, reason=head.reason)
        await self.conversations.settle(connection, [placed], known, {}, [head], at)
        await self._next(connection, rows[1:], at)

    async def _next(self, connection: AsyncConnection, rows: Sequence[WaitingRow], at: datetime) -> None:
        """The first of what is left becomes the head, and is due."""
        if rows and rows[0].why == "queued":
            await store.update_waiting(connection, [replace(rows[0], why="trouble", due_at=at)])

    async def _postpone(self, id_: UUID, reason: str) -> None:
        """Another attempt later. What is no contact any more, after a change of ours, is a dead letter with its bytes."""
        at = self.now()
        async with self.database.transaction() as connection:
            head = await store.lock_due(connection, id_, at)
            if head is None:
                return
            attempts = head.attempts + 1
            if attempts > MOST_ATTEMPTS + 1:
                await self._bury(connection, head, reason, at)
                return
            wait = min(FIRST_WAIT * 3 ** (attempts - 1), LONGEST_WAIT)
            await store.update_waiting(connection, [replace(head, attempts=attempts, reason=reason, due_at=at + wait)])
        log.warning(
            "contact.postponed", contact_id=str(id_), attempt=attempts, reason=reason, wait_s=wait.total_seconds()
        )

    async def _bury(self, connection: AsyncConnection, head: WaitingRow, reason: str, at: datetime) -> None:
        rows = await self._queue_of(connection, head)
        await self.producer.send(build_dead_letter(record_of(head), topic=self.dead_letter_topic, reason=reason))
        metrics.dead_letters.labels("router").inc()
        await store.record_told(connection, placed=[head.contact_id], asked=[], at=at)
        await self._next(connection, rows[1:], at)

    # telling

    async def _tell(self) -> bool:
        """Bring to Kafka what was placed and what is asked; False when there is nothing more."""
        async with self.database.transaction() as connection:
            rows = await store.to_tell(connection, most=_AT_ONCE)
            if not rows:
                return False
            placed = [row.contact_id for row in rows if row.placed_at]
            asked = [row for row in rows if not row.placed_at]
            decided = await store.find_decisions(connection, placed)
            records: list[Record] = []
            for row in rows:
                if row.placed_at:
                    arrival = self.conversations.read(record_of(row))
                    records += self.mail.contact_records(arrival, read_decided(decided[row.contact_id]))
                elif row.question:
                    records.append(
                        self.mail.question_record(record_of(row), ReplyRequested.model_validate_json(row.question))
                    )
            await self.producer.send_all(records)
            await store.record_told(connection, placed=placed, asked=[row.contact_id for row in asked], at=self.now())
        return True

    # watching

    async def count(self) -> None:
        """Say how many wait, and on /ready when something stands past its time."""
        async with self.database.transaction() as connection:
            standing = await store.count_waiting(connection)
        for why in ("question", "trouble", "queued"):
            metrics.contacts_waiting.labels(why).set(standing.get(why, (0, None))[0])
        first = min((due for _, due in standing.values() if due), default=None)
        late = max(timedelta(0), self.now() - first) if first else timedelta(0)
        metrics.contacts_overdue_seconds.set(late.total_seconds())
        if late > STANDS_LONG:
            total = sum(count for count, _ in standing.values())
            self.health.add_note(
                "waiting", f"{total} contacts wait, the first is {late.total_seconds() / 60:.0f} min late"
            )
        else:
            self.health.notes.pop("waiting", None)

    async def _rest(self, stopping: asyncio.Event) -> None:
        waiters = [asyncio.ensure_future(self._due.wait()), asyncio.ensure_future(stopping.wait())]
        try:
            await asyncio.wait(waiters, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*waiters, return_exceptions=True)
        self._due.clear()
