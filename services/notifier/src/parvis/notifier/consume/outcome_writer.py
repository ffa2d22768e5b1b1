"""Outcomes of provider calls in; rows and events out, many in one transaction."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.contact import ClaimCheck
from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.health import Health
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database
from parvis.notifier.consume.channel_fallback import Steps
from parvis.notifier.decide.delivery_states import after, stepped
from parvis.notifier.models.delivery import Delivery, Outcome
from parvis.notifier.models.limits import Limits
from parvis.notifier.models.sender_ports import Channel
from parvis.notifier.store.deliveries import lock

log = logger()
TOGETHER_S = 0.02  # what ends within this is stored together


@dataclass(frozen=True)
class Ended:
    """One attempt that is over."""

    delivery: Delivery
    outcome: Outcome
    evidence: ClaimCheck | None


@dataclass
class Settling:
    """TX2 of many attempts: what ends while one transaction is under way goes into the next, together."""

    database: Database
    steps: Steps
    channels: Mapping[str, Channel]
    limits: Limits
    health: Health
    clock: Clock = now
    chance: Callable[[], float] = random.random
    _waiting: list[Ended] = field(default_factory=list[Ended])
    _storing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def settle(self, ended: Ended) -> None:
        """Return when the outcome is stored."""
        self._waiting.append(ended)
        async with self._storing:
            if self._waiting:
                await asyncio.sleep(TOGETHER_S)
            batch, self._waiting = self._waiting, []
            if batch:  # else the one before took ours along
                await self._until_stored(batch)
                self.steps.ledger.outbox.wake()

    async def _until_stored(self, batch: list[Ended]) -> None:
        """However long the database is away; when the service ends first, the leases lapse and say unknown."""
        wait_s = 0.2
        while True:
            try:
                async with self.database.transaction() as connection:
                    await self._store(connection, batch)
                return
            except Unavailable as error:
                self.health.mark_failing("sending", str(error))
                log.warning("outcomes.delayed", count=len(batch), reason=str(error), wait_s=wait_s)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 5)

    async def _store(self, connection: AsyncConnection, batch: list[Ended]) -> None:
        at = self.clock()
        rows = await lock(connection, [ended.delivery.delivery_id for ended in batch])
        changes: list[tuple[Delivery, Delivery]] = []
        for ended in batch:
            stood = rows[ended.delivery.delivery_id]
            to = after(ended.outcome, stood, ended.delivery.attempt, self.limits, now=at, chance=self.chance())
            stands = stepped(
                stood,
                to,
                at,
                provider=ended.outcome.provider or self.channels[stood.channel].provider,
                provider_id=ended.outcome.provider_id,
                evidence=ended.evidence,
            )
            changes.append((stood, stands))
        await self.steps.write(connection, changes, at)
