"""Stores the outcomes of provider calls in batches, with their events and the next steps of what failed."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.contact import ClaimCheck
from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.backoff import Backoff
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.common.storage.outbox import Outbox
from parvis.common.storage.postgres import Database
from parvis.notifier.consume.channel_fallback import ChannelFallback
from parvis.notifier.decide.delivery_states import apply_transition, transition_after_attempt
from parvis.notifier.models.delivery import Delivery, SendOutcome
from parvis.notifier.models.limits import SendingLimits
from parvis.notifier.models.sender_ports import ChannelSender, Pausable
from parvis.notifier.store.deliveries import lock_deliveries

log = logger()
GATHER_S = 0.02  # outcomes that come within this are stored together


@dataclass(frozen=True)
class FinishedAttempt:
    """One attempt to send a delivery: its outcome, and a reference to the sent bytes as evidence."""

    delivery: Delivery
    outcome: SendOutcome
    evidence: ClaimCheck | None


@dataclass
class OutcomeWriter:
    """Stores outcomes: the second transaction of a delivery, after the one that reserves. Attempts that end while a transaction is open share the next one."""

    database: Database
    fallback: ChannelFallback
    outbox: Outbox
    senders: Mapping[str, ChannelSender]
    limits: SendingLimits
    health: Health
    clock: Clock = now
    chance: Callable[[], float] = random.random
    _waiting: list[FinishedAttempt] = field(default_factory=list[FinishedAttempt])
    _storing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def store(self, attempt: FinishedAttempt) -> None:
        """Return when the outcome is stored, or logged as lost."""
        self._waiting.append(attempt)
        async with self._storing:
            if self._waiting:
                await asyncio.sleep(GATHER_S)
            batch, self._waiting = self._waiting, []
            if batch:  # empty when another task has stored ours with its own
                await self._store_all(batch)
                self.outbox.wake()

    async def _store_all(self, batch: list[FinishedAttempt]) -> None:
        """Store a batch. If it fails, each outcome is stored alone; one that fails alone is logged, and its lease lapses into `unknown`."""
        try:
            await self._until_stored(batch)
        except (ValueError, LookupError, DBAPIError) as error:
            if len(batch) == 1:
                log.exception("outcome.lost", delivery_id=batch[0].delivery.delivery_id, reason=type(error).__name__)
                return
            for attempt in batch:
                await self._store_all([attempt])

    async def _until_stored(self, batch: list[FinishedAttempt]) -> None:
        """Retry until the database is back. If the service ends first, the leases lapse and the deliveries become `unknown`."""
        backoff = Backoff(first_s=0.2, longest_s=5)
        while True:
            try:
                async with self.database.transaction() as connection:
                    await self._write(connection, batch)
                return
            except Unavailable as error:
                wait_s = backoff.next_wait_s()
                self.health.mark_failing("sending", str(error))
                log.warning("outcome-storage.delayed", count=len(batch), reason=str(error), wait_s=wait_s)
                await asyncio.sleep(wait_s)

    async def _write(self, connection: AsyncConnection, batch: list[FinishedAttempt]) -> None:
        at = self.clock()
        rows = await lock_deliveries(connection, [attempt.delivery.delivery_id for attempt in batch])
        changes: list[tuple[Delivery, Delivery]] = []
        for attempt in batch:
            delivery, outcome = attempt.delivery, attempt.outcome
            current = rows.get(delivery.delivery_id)
            if current is None:  # its row has become unreadable; the reader has logged why
                log.error("outcome.lost", delivery_id=delivery.delivery_id, reason="no readable row")
                continue
            sender = self.senders.get(current.channel)
            transition = transition_after_attempt(
                outcome,
                current,
                delivery.attempt,
                self.limits,
                now=at,
                chance=self.chance(),
                is_pausable=isinstance(sender, Pausable),
            )
            changed = apply_transition(
                current,
                transition,
                at,
                provider=outcome.provider or (sender.provider if sender else None),
                provider_id=outcome.provider_id,
                evidence=attempt.evidence,
            )
            changes.append((current, changed))
        await self.fallback.store_changes(connection, changes, at)
