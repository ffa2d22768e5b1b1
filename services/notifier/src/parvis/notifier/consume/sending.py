"""Due deliveries out of the table, reserved, told, then one provider call each; the outcome back into the table."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common import metrics
from parvis.common.blobs import Blobs
from parvis.common.bus import Producer
from parvis.common.clock import Clock, now
from parvis.common.contact import ClaimCheck, ContactId
from parvis.common.database import Database
from parvis.common.errors import ParvisError, Rejected, Unavailable
from parvis.common.health import Health
from parvis.common.logs import logger
from parvis.common.outbox import Outbox
from parvis.common.reply import PreferenceChanged, ReplyRequested
from parvis.notifier import store
from parvis.notifier.consume.ledger import Ledger, log_step
from parvis.notifier.consume.settling import Ended, Settling
from parvis.notifier.consume.waiting import first_of
from parvis.notifier.decide import Addressing, Next, Sent, points_of, refusal
from parvis.notifier.rules import Channel, Delivery, Limits, Outcome, Parcel, TooLong
from parvis.notifier.store import Due

log = logger()
TOGETHER_S = 0.01  # what ends or comes within this is reserved together, while others are under way
LOOK_AGAIN_S = 1.0  # what another process stored, and what waited for its time, is seen within this

Render = Callable[[ReplyRequested, Delivery, datetime], Parcel]


@dataclass
class Sending:
    """The loop that sends.

    Order:  TX1 reserves; Kafka acknowledges `reserved`; only then the provider is called, once; TX2 stores the outcome.
    Crash:  before the acknowledgement nothing was sent; after it, the lease lapses and the delivery is unknown.
    """

    database: Database
    producer: Producer
    ledger: Ledger
    outbox: Outbox
    settling: Settling
    blobs: Blobs
    channels: Mapping[str, Channel]
    render: Render
    addressing: Addressing
    limits: Limits
    worker: str
    health: Health
    preferences_read: asyncio.Event
    due: asyncio.Event
    clock: Clock = now
    _under_way: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    async def run(self, stopping: asyncio.Event) -> None:
        """Send until the service stops; then let what is under way end."""
        await first_of(self.preferences_read.wait(), stopping.wait())
        wait_s = LOOK_AGAIN_S
        async with asyncio.TaskGroup() as group:
            while not stopping.is_set():
                self.due.clear()
                try:
                    reserved = await self._reserve(self.limits.in_flight - len(self._under_way))
                    self.health.good("sending")
                    wait_s = LOOK_AGAIN_S
                except Unavailable as error:
                    reserved = []
                    self.health.bad("sending", str(error))
                    log.warning("sending.delayed", reason=str(error), wait_s=wait_s)
                    wait_s = min(wait_s * 2, 10)
                for due in reserved:
                    task = group.create_task(self._send(due))
                    self._under_way.add(task)
                    task.add_done_callback(self._end)
                if not reserved:
                    await first_of(self.due.wait(), stopping.wait(), timeout_s=wait_s)
                if self._under_way:
                    await asyncio.sleep(TOGETHER_S)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self.due.set()  # there is room again, and the next of this conversation may go

    async def _reserve(self, room: int) -> list[Due]:
        """Take what is due and may be sent; when this returns, Kafka knows that it will be."""
        if room <= 0:
            return []
        at = self.clock()
        async with self.database.begin() as connection:
            picked = await store.pick_due(connection, at, room)
            allowed = await self._allowed(connection, picked, at)
            ids = [due.delivery.delivery_id for due in allowed]
            if ids:
                lease_until = at + self.limits.lease
                await store.reserve(connection, ids, worker=self.worker, now=at, lease_until=lease_until)
        if len(allowed) < len(picked):
            self.outbox.kick()
            self.due.set()
        reserved = [replace(due, delivery=_reserved(due.delivery, at)) for due in allowed]
        await self._tell(reserved, at)
        return reserved

    async def _tell(self, reserved: list[Due], at: datetime) -> None:
        """Have Kafka acknowledge `reserved` before any provider is called; else give everything back."""
        if not reserved:
            return
        try:
            await self.producer.send_all([self.ledger.told(due.delivery, at) for due in reserved])
        except ParvisError:
            async with self.database.begin() as connection:
                ids = [due.delivery.delivery_id for due in reserved]
                await store.give_back(connection, ids, worker=self.worker, now=self.clock())
            raise
        for due in reserved:
            log_step(due.delivery)

    async def _allowed(self, connection: AsyncConnection, picked: list[Due], at: datetime) -> list[Due]:
        """Those that may leave: still the right channel, and within the budget of their address, which is locked."""
        if not picked:
            return []
        steady = await self._still_right(connection, picked, at)
        hashes = {due.delivery.address_hash for due in steady}
        await store.lock_addresses(connection, hashes)
        ids = {due.delivery.delivery_id for due in steady}
        counted = await store.sent_to(connection, hashes, at, but=ids)
        once = await store.sent_once(connection, {due.delivery.conversation_id for due in steady})
        allowed: list[Due] = []
        for due in steady:
            delivery = due.delivery
            automatic, answers = counted.get(delivery.address_hash, (0, 0))
            no = refusal(delivery, Sent(automatic, answers, _has_another(delivery, once)), self.limits)
            if no:
                await self.ledger.step(connection, delivery, no, at)
                _tell_of_a_loop(delivery, automatic, self.limits)
                continue
            counted[delivery.address_hash] = (automatic + delivery.is_automatic, answers + (not delivery.is_automatic))
            allowed.append(due)
        return allowed

    async def _still_right(self, connection: AsyncConnection, picked: list[Due], at: datetime) -> list[Due]:
        """Choose again: a citizen may have changed their mind while a reply was held."""
        hashes = {self.addressing.hash_of(point) for due in picked for point in points_of(due.reply)}
        kept = await store.preferences_of(connection, hashes)
        return [due for due in picked if await self._is_still_right(connection, due, kept, at)]

    async def _is_still_right(
        self, connection: AsyncConnection, due: Due, kept: Mapping[str, PreferenceChanged], at: datetime
    ) -> bool:
        choice, delivery = self.addressing.choose(due.reply, kept), due.delivery
        planned = self.addressing.plan(due.reply, choice)
        if (choice.channel, choice.address, choice.failure_class) == (delivery.channel, delivery.address, None):
            return True
        if choice.channel == delivery.channel and choice.failure_class:
            await self.ledger.step(connection, delivery, Next("failed", choice.failure_class, choice.detail), at)
        elif choice.channel == delivery.channel:
            await store.readdress(connection, planned, at)  # sent at the next look
        else:
            await self.ledger.step(connection, delivery, Next("cancelled", detail="the citizen chose otherwise"), at)
            await self.ledger.plan(connection, [planned], at)
        return False

    async def _send(self, due: Due) -> None:
        delivery = due.delivery
        evidence: ClaimCheck | None = None
        try:
            parcel = await asyncio.to_thread(self.render, due.reply, delivery, self.clock())
            owner = ContactId(delivery.conversation_id)
            evidence = await self.blobs.put(owner, parcel.content, parcel.media_type)
        except TooLong as error:
            outcome = Outcome("failed", failure_class="too-long", detail=str(error))
        except Rejected as error:
            outcome = Outcome("failed", failure_class="permanent", detail=str(error))
        except Unavailable as error:
            outcome = Outcome("retry", failure_class="temporary", detail=str(error))
        else:
            outcome = await self.channels[delivery.channel].send(parcel)
        await self.settling.settle(Ended(delivery, outcome, evidence))


def _reserved(delivery: Delivery, at: datetime) -> Delivery:
    first = delivery.first_reserved_at or at
    return replace(
        delivery, state="reserved", attempt=delivery.attempt + 1, first_reserved_at=first, failure_class=None, detail=""
    )


def _tell_of_a_loop(delivery: Delivery, automatic: int, limits: Limits) -> None:
    """Nobody causes so many automatic messages in a day but another machine: somebody should look (promise 7)."""
    if delivery.is_automatic and automatic >= limits.automatic_a_day:
        metrics.loops_suspected.labels(delivery.channel).inc()
        log.error(
            "loop.suspected",
            conversation_id=delivery.conversation_id,
            reply_id=delivery.reply_id,
            channel=delivery.channel,
            kind=delivery.kind,
            sender_hash=delivery.address_hash,
            count=automatic,
        )


def _has_another(delivery: Delivery, once: Collection[tuple[str, str, str]]) -> bool:
    same = (delivery.conversation_id, delivery.kind)
    return any((conversation, kind) == same and reply != delivery.reply_id for conversation, kind, reply in once)
