"""Reserved deliveries, told to Kafka, then one provider call each; the outcome goes to be settled."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from parvis.common.blobs import Blobs
from parvis.common.bus import Producer
from parvis.common.clock import Clock, now
from parvis.common.contact import ClaimCheck, ContactId
from parvis.common.database import Database
from parvis.common.errors import ParvisError, Rejected, Unavailable
from parvis.common.health import Health
from parvis.common.logs import logger
from parvis.common.outbox import Outbox
from parvis.common.reply import ReplyRequested
from parvis.notifier.consume.ledger import Ledger, log_step
from parvis.notifier.consume.reserving import Reserving
from parvis.notifier.consume.settling import Ended, Settling
from parvis.notifier.consume.waiting import first_of
from parvis.notifier.rules import Channel, Delivery, Limits, Outcome, Parcel, Rests, TooLong
from parvis.notifier.store.due import Due, give_back

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
    reserving: Reserving
    settling: Settling
    blobs: Blobs
    channels: Mapping[str, Channel]
    render: Render
    limits: Limits
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
                    reserved = await self.reserve(self.limits.in_flight - len(self._under_way))
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

    async def reserve(self, room: int) -> list[Due]:
        """Take what is due and may be sent; when this returns, Kafka knows that it will be."""
        if room <= 0:
            return []
        at = self.clock()
        resting = [name for name, channel in self.channels.items() if isinstance(channel, Rests) and channel.rests()]
        async with self.database.begin() as connection:
            reserved, picked = await self.reserving.reserve(connection, room, at, resting)
        if len(reserved) < picked:
            self.outbox.kick()
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
            async with self.database.begin() as connection:
                ids = [due.delivery.delivery_id for due in reserved]
                await give_back(connection, ids, worker=self.reserving.worker, now=self.clock())
            raise
        for due in reserved:
            log_step(due.delivery)

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
            outcome = Outcome(
                "failed", failure_class="refused", detail=str(error)
            )  # the channel's rules, not the address
        except Unavailable as error:
            outcome = Outcome("retry", failure_class="temporary", detail=str(error))
        else:
            outcome = await self.channels[delivery.channel].send(replace(parcel, department=due.reply.department))
        await self.settling.settle(Ended(delivery, outcome, evidence))
