"""Sends due deliveries: reserves them, waits for Kafka to acknowledge `reserved`, then calls the provider once each."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from parvis.common.bus.producer import Producer
from parvis.common.contract.channels import channel
from parvis.common.contract.contact import ClaimCheck, ContactId
from parvis.common.contract.errors import ParvisError, Poison, Rejected, Unavailable
from parvis.common.runtime.backoff import Backoff
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.health import Health
from parvis.common.runtime.interruptible_waits import first_completed
from parvis.common.runtime.logs import logger
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.notifier.consume.outcome_writer import FinishedAttempt, OutcomeWriter
from parvis.notifier.consume.reservation import DeliveryReservation
from parvis.notifier.fetch.attachments import Attachments
from parvis.notifier.models.delivery import Delivery, SendOutcome
from parvis.notifier.models.limits import SendingLimits
from parvis.notifier.models.message import RenderedMessage, TooLong
from parvis.notifier.models.sender_ports import ChannelSender, Pausable
from parvis.notifier.render.message_renderer import MessageRenderer
from parvis.notifier.store.delivery_ledger import DeliveryLedger, log_state
from parvis.notifier.store.due_deliveries import DueDelivery, give_back

log = logger()
GATHER_S = 0.01  # while calls are open, reservations wait this long to share a transaction
POLL_S = 1.0  # how often to look for deliveries of other processes, and for those that have become due


@dataclass
class _Lane:
    """The open deliveries of one channel. Each channel has its own limit, so that a slow one delays no other."""

    in_flight: int
    open: int = 0  # reserved, and without the provider's answer yet
    calls: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.calls = asyncio.Semaphore(self.in_flight)

    @property
    def room(self) -> int:
        """How many more to reserve: up to 1.5 times the concurrent calls, so that no call waits for a transaction."""
        return self.in_flight + self.in_flight // 2 - self.open

    @property
    def is_worth_a_transaction(self) -> bool:
        """Whether to reserve now: a transaction costs nearly the same for one as for fifty, so a busy lane waits for room for a quarter."""
        return self.room >= max(1, self.in_flight // 4) or not self.open


@dataclass
class SendLoop:
    """Sends due deliveries until the service stops.

    Order:  the first transaction reserves; Kafka acknowledges `reserved`; only then the provider is called, once; the second
            stores the outcome.
    Crash:  before the acknowledgement nothing was sent; after it, the lease lapses and the delivery becomes `unknown`.
    Errors: a delivery that cannot be rendered, or whose file is missing, fails alone.
    """

    database: Database
    producer: Producer
    ledger: DeliveryLedger
    outbox: Outbox
    reservation: DeliveryReservation
    outcomes: OutcomeWriter
    blobs: BlobStore
    attachments: Attachments
    renderer: MessageRenderer
    senders: Mapping[str, ChannelSender]
    limits: SendingLimits
    health: Health
    preferences_read: asyncio.Event
    due: asyncio.Event
    clock: Clock = now

    def __post_init__(self) -> None:
        self._lanes = {name: _Lane(self.limits.in_flight) for name in self.senders}
        self._stopping = asyncio.Event()

    async def run(self, stopping: asyncio.Event) -> None:
        """Send until the service stops; then wait for open calls to end."""
        self._stopping = stopping
        await first_completed(self.preferences_read.wait(), stopping.wait())
        backoff = Backoff(first_s=POLL_S, longest_s=10)
        async with asyncio.TaskGroup() as group:
            while not stopping.is_set():
                self.due.clear()
                wait_s = POLL_S
                try:
                    reserved = await self._reserve_for_free_lanes()
                    self.health.mark_ok("sending")
                    backoff.reset()
                except Unavailable as error:
                    reserved, wait_s = [], backoff.next_wait_s()
                    self.health.mark_failing("sending", str(error))
                    log.warning("send-loop.delayed", reason=str(error), wait_s=wait_s)
                for due in reserved:
                    self._lane_of(due.delivery).open += 1
                    group.create_task(self._send(due))
                if not reserved:
                    await first_completed(self.due.wait(), stopping.wait(), timeout_s=wait_s)
                if any(lane.open for lane in self._lanes.values()):
                    await asyncio.sleep(GATHER_S)

    async def _reserve_for_free_lanes(self) -> list[DueDelivery]:
        free = {name: lane.room for name, lane in self._lanes.items() if lane.is_worth_a_transaction}
        if not free:
            return []
        # The smallest room of them: the channels of the next deliveries are not known yet, and none may get more than it has room for.
        return await self.reserve(min(free.values()), full=self._lanes.keys() - free.keys())

    async def reserve(self, limit: int, *, full: Collection[str] = ()) -> list[DueDelivery]:
        """Reserve due deliveries. When this returns, Kafka has acknowledged `reserved`.

        Shape: full, the channels without room for more.
        """
        at = self.clock()
        paused = {name for name, sender in self.senders.items() if isinstance(sender, Pausable) and sender.is_paused()}
        async with self.database.transaction() as connection:
            reserved, picked = await self.reservation.reserve(connection, limit, at, paused.union(full))
        if len(reserved) < picked:
            self.outbox.wake()
            self.due.set()
        await self._publish_reserved(reserved, at)
        return reserved

    async def _publish_reserved(self, reserved: list[DueDelivery], at: datetime) -> None:
        """Wait for Kafka to acknowledge `reserved` before any provider is called; if it does not, give everything back."""
        if not reserved:
            return
        try:
            await self.producer.send_all([self.ledger.build_record(due.delivery, at) for due in reserved])
        except ParvisError:
            await self._give_back([due.delivery for due in reserved])
            raise
        for due in reserved:
            log_state(due.delivery)

    async def _send(self, due: DueDelivery) -> None:
        attempt: FinishedAttempt | None = None
        try:
            attempt = await self._attempt(due)
        finally:
            self._lane_of(due.delivery).open -= 1
            self.due.set()  # the lane has room again
        if attempt is None:
            await self._give_back([due.delivery])
        else:
            await self.outcomes.store(attempt)
            self.due.set()  # the next delivery of this conversation may be sent

    async def _attempt(self, due: DueDelivery) -> FinishedAttempt | None:
        """Render, store the evidence, call the provider; None if the service stops before the call."""
        delivery = due.delivery
        evidence: ClaimCheck | None = None
        try:
            message = await self._render(due)
            evidence = await self.blobs.put(ContactId(delivery.conversation_id), message.content, message.media_type)
            outcome = await self._call(replace(message, department=due.reply.department))
        except TooLong as error:
            outcome = SendOutcome("failed", failure_class="too-long", detail=str(error))
        except Rejected as error:
            # Our side refuses it: that says nothing about the address.
            outcome = SendOutcome("failed", failure_class="refused", detail=str(error))
        except Unavailable as error:
            outcome = SendOutcome("retry", failure_class="temporary", detail=str(error))
        except (Poison, ValueError, LookupError) as error:
            # A missing or damaged file, or a stored value that no template takes: a retry does not help, a person has to act.
            outcome = SendOutcome("failed", failure_class="refused", detail=_reason_of(error))
            _log_unsendable(delivery, _reason_of(error))
        return FinishedAttempt(delivery, outcome, evidence) if outcome else None

    async def _render(self, due: DueDelivery) -> RenderedMessage:
        if channel(due.delivery.channel).template_medium == "sms":
            # So short that a thread would take longer than the work.
            return self.renderer.render(due.reply, due.delivery, self.clock())
        files = await self.attachments.fetch_for(
            due.reply, due.delivery, largest_bytes=self.limits.largest_attachments_bytes
        )
        return await asyncio.to_thread(self.renderer.render, due.reply, due.delivery, self.clock(), files)

    async def _call(self, message: RenderedMessage) -> SendOutcome | None:
        """Call the provider once the lane has a free slot; None if the service stops before."""
        async with self._lane_of(message.delivery).calls:
            if self._stopping.is_set():
                return None
            return await self.senders[message.delivery.channel].send(message)

    def _lane_of(self, delivery: Delivery) -> _Lane:
        return self._lanes.setdefault(delivery.channel, _Lane(self.limits.in_flight))

    async def _give_back(self, deliveries: Sequence[Delivery]) -> None:
        ids = [delivery.delivery_id for delivery in deliveries]
        async with self.database.transaction() as connection:
            await give_back(connection, ids, worker=self.reservation.worker, now=self.clock())


def _log_unsendable(delivery: Delivery, reason: str) -> None:
    log.error("delivery.render_failed", delivery_id=delivery.delivery_id, reply_id=delivery.reply_id, reason=reason)


def _reason_of(error: Exception) -> str:
    """Our own message in full; of any other exception only the type, for its message may quote a citizen."""
    return str(error) if isinstance(error, Poison) else f"{type(error).__name__} during rendering"
