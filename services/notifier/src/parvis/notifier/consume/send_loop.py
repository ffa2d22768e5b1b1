"""Reserved deliveries, told to Kafka, then one provider call each; the outcome goes to be settled."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from parvis.common.bus.producer import Producer
from parvis.common.contract.contact import ClaimCheck, ContactId
from parvis.common.contract.errors import ParvisError, Rejected, Unavailable
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.concurrency import first_completed
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.notifier.consume.outcome_writer import Ended, Settling
from parvis.notifier.consume.reservation import Reserving
from parvis.notifier.fetch.attachments import enclosed
from parvis.notifier.models.delivery import Delivery, Outcome
from parvis.notifier.models.limits import Limits
from parvis.notifier.models.message import Enclosure, Parcel, TooLong
from parvis.notifier.models.sender_ports import Channel, Rests
from parvis.notifier.store.delivery_ledger import Ledger, log_step
from parvis.notifier.store.due_deliveries import Due, give_back

log = logger()
TOGETHER_S = 0.01  # what ends or comes within this is reserved together, while others are under way
LOOK_AGAIN_S = 1.0  # what another process stored, and what waited for its time, is seen within this

Render = Callable[[ReplyRequested, Delivery, datetime, Sequence[Enclosure]], Parcel]


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
    reserving: Reserving
    settling: Settling
    blobs: BlobStore
    channels: Mapping[str, Channel]
    render: Render
    limits: Limits
    health: Health
    preferences_read: asyncio.Event
    due: asyncio.Event
    clock: Clock = now

    def __post_init__(self) -> None:
        self._calls = asyncio.Semaphore(self.limits.in_flight)
        self._open = 0  # reserved, and not yet answered by a provider
        self._stopping = asyncio.Event()

    @property
    def _room(self) -> int:
        """Half as many again as may be called at a time are reserved ahead, so that no provider waits for a transaction."""
        return self.limits.in_flight + self.limits.in_flight // 2 - self._open

    async def run(self, stopping: asyncio.Event) -> None:
        """Send until the service stops; then let what is under way end."""
        self._stopping = stopping
        await first_completed(self.preferences_read.wait(), stopping.wait())
        wait_s = LOOK_AGAIN_S
        async with asyncio.TaskGroup() as group:
            while not stopping.is_set():
                self.due.clear()
                try:
                    reserved = await self.reserve(self._room if self._is_worth_while else 0)
                    self.health.mark_ok("sending")
                    wait_s = LOOK_AGAIN_S
                except Unavailable as error:
                    reserved = []
                    self.health.mark_failing("sending", str(error))
                    log.warning("sending.delayed", reason=str(error), wait_s=wait_s)
                    wait_s = min(wait_s * 2, 10)
                self._open += len(reserved)
                for due in reserved:
                    group.create_task(self._send(due))
                if not reserved:
                    await first_completed(self.due.wait(), stopping.wait(), timeout_s=wait_s)
                if self._open:
                    await asyncio.sleep(TOGETHER_S)

    @property
    def _is_worth_while(self) -> bool:
        """A transaction for one costs nearly as much as for fifty: while many are under way, wait for room for a quarter."""
        return self._room >= max(1, self.limits.in_flight // 4) or not self._open

    async def reserve(self, room: int) -> list[Due]:
        """Take what is due and may be sent; when this returns, Kafka knows that it will be."""
        if room <= 0:
            return []
        at = self.clock()
        resting = [name for name, channel in self.channels.items() if isinstance(channel, Rests) and channel.rests()]
        async with self.database.transaction() as connection:
            reserved, picked = await self.reserving.reserve(connection, room, at, resting)
        if len(reserved) < picked:
            self.outbox.wake()
            self.due.set()
        await self._tell(reserved, at)
        return reserved

    async def _tell(self, reserved: list[Due], at: datetime) -> None:
        """Have Kafka acknowledge `reserved` before any provider is called; else give everything back."""
        if not reserved:
            return
        try:
            await self.producer.send_all([self.ledger.told(due.delivery, at) for due in reserved])
        except ParvisError:
            await self._give_back([due.delivery for due in reserved])
            raise
        for due in reserved:
            log_step(due.delivery)

    async def _send(self, due: Due) -> None:
        delivery = due.delivery
        evidence: ClaimCheck | None = None
        try:
            parcel = await self._rendered(due)
            owner = ContactId(delivery.conversation_id)
            evidence = await self.blobs.put(owner, parcel.content, parcel.media_type)
            outcome = await self._call(replace(parcel, department=due.reply.department))
        except TooLong as error:
            outcome = Outcome("failed", failure_class="too-long", detail=str(error))
        except Rejected as error:
            # The channel's rules are against it: that says nothing about the address.
            outcome = Outcome("failed", failure_class="refused", detail=str(error))
        except Unavailable as error:
            outcome = Outcome("retry", failure_class="temporary", detail=str(error))
        finally:
            self._open -= 1
            self.due.set()  # there is room again
        if outcome is None:
            await self._give_back([delivery])
        else:
            await self.settling.settle(Ended(delivery, outcome, evidence))
            self.due.set()  # the next of this conversation may go

    async def _rendered(self, due: Due) -> Parcel:
        if due.delivery.channel == "sms":  # a few words: a thread would take longer than the work
            return self.render(due.reply, due.delivery, self.clock(), ())
        files = await enclosed(self.blobs, due.reply, due.delivery, most_bytes=self.limits.enclosures_bytes)
        return await asyncio.to_thread(self.render, due.reply, due.delivery, self.clock(), files)

    async def _call(self, parcel: Parcel) -> Outcome | None:
        """One call, when there is room for it; none when the service stops before."""
        async with self._calls:
            if self._stopping.is_set():
                return None
            return await self.channels[parcel.delivery.channel].send(parcel)

    async def _give_back(self, deliveries: Sequence[Delivery]) -> None:
        async with self.database.transaction() as connection:
            ids = [delivery.delivery_id for delivery in deliveries]
            await give_back(connection, ids, worker=self.reserving.worker, now=self.clock())
