"""A text in, one call of one of our SMS providers, its outcome out."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.logs import logger
from parvis.notifier.models.delivery import Delivery, Found, Outcome
from parvis.notifier.models.message import Parcel
from parvis.notifier.send.sms.provider_balance import Balance, Rates

log = logger()
_LONGEST_WAIT = timedelta(seconds=20)  # far below the lease


class Provider(Protocol):
    """One SMS provider: exactly one attempt a call, no retry of its own, and its memory of what it took."""

    name: str
    is_polled: bool

    async def send(self, delivery: Delivery, text: str, sender: str) -> Outcome: ...

    async def find(self, delivery: Delivery, text: str) -> list[Found]: ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Senders:
    """Who a message comes from: the department's own number or messaging service, else the town's."""

    town: str
    departments: Mapping[str, str] = field(default_factory=dict[str, str])

    def of(self, department: str) -> str:
        return self.departments.get(department, self.town)


class Sms:
    """The SMS channel: its providers share the messages; one that is in trouble gets fewer, then none, then one to try."""

    provider = "sms"

    def __init__(
        self,
        providers: Sequence[Provider],
        *,
        senders: Senders,
        shares: Mapping[str, int],
        per_second: float = 0,
        clock: Clock = now,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._senders = senders
        self._balance = Balance(
            {name: shares.get(name, 100 if len(providers) == 1 else 50) for name in self._providers}
        )
        self._rates = Rates(per_second)
        self._clock = clock
        self._chance = chance
        self.provider = next(iter(self._providers))
        self.polled = frozenset(provider.name for provider in providers if provider.is_polled)

    @property
    def points(self) -> dict[str, int]:
        """How the messages are shared out now."""
        return self._balance.points

    def rests(self) -> bool:
        """Whether no provider may be called now."""
        return self._balance.rests(self._clock())

    async def send(self, parcel: Parcel) -> Outcome:
        """One call of one provider; where it surely did not take the message, one of another that is well. None when all of them rest."""
        sender = self._senders.of(parcel.department)
        wait = self._rates.take(sender, self._clock())
        if wait > _LONGEST_WAIT:
            self._rates.give_back(sender)
            return Outcome("retry", None, "temporary", "the sender's own rate")
        if wait:
            await asyncio.sleep(wait.total_seconds())
        name = self._balance.pick(self._clock(), self._chance())
        if name is None:
            return Outcome("retry", None, "temporary", "every provider rests")
        outcome = await self._call(self._providers[name], parcel, sender)
        # Else who tries whether a provider is well again would wait for it, although another one is.
        other = self._balance.pick(self._clock(), self._chance(), but=name) if outcome.state == "retry" else None
        return await self._call(self._providers[other], parcel, sender) if other else outcome

    async def _call(self, provider: Provider, parcel: Parcel, sender: str) -> Outcome:
        began = self._clock()
        before = self.points
        well = False
        try:
            outcome = await provider.send(parcel.delivery, parcel.content.decode(), sender)
            well = outcome.state not in {"retry", "unknown"}
        finally:
            ended = self._clock()
            self._balance.note(provider.name, well=well, took=ended - began, now=ended, chance=self._chance())
        if self.points != before:
            log.warning("provider.shifted", provider=provider.name, count=self.points[provider.name])
        return Outcome(outcome.state, outcome.provider_id, outcome.failure_class, outcome.detail, provider.name)

    async def find(self, delivery: Delivery, text: str) -> list[Found]:
        """Ask the provider that has taken it; while that is not known, all.

        Raises: Unavailable, when one of them cannot be asked and no other has it: it may.
        """
        has_it = delivery.state == "accepted" and delivery.provider in self._providers
        asked = [self._providers[delivery.provider or ""]] if has_it else list(self._providers.values())
        trouble: Unavailable | None = None
        found: list[Found] = []
        for provider in asked:
            try:
                found += await provider.find(delivery, text)
            except Unavailable as error:
                trouble = error
        if trouble and not found:
            raise trouble
        return found

    async def close(self) -> None:
        for provider in self._providers.values():
            await provider.close()
