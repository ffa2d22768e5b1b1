"""Sends text messages: balances them among the SMS providers, and keeps to the rate of each sender number."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.logs import logger
from parvis.notifier.models.delivery import Delivery, ProviderMessage, SendOutcome
from parvis.notifier.models.message import RenderedMessage
from parvis.notifier.send import SenderSetup
from parvis.notifier.send.sms.http_gateway import HttpGateway
from parvis.notifier.send.sms.load_balancer import ProviderBalance, SenderRates
from parvis.notifier.send.sms.twilio import Twilio

log = logger()
_LONGEST_WAIT = timedelta(seconds=20)  # far below the lease


class SmsProvider(Protocol):
    """One SMS provider: exactly one attempt per call, without retries, and a query of its messages."""

    name: str
    is_polled: bool

    async def send(self, delivery: Delivery, text: str, sender: str) -> SendOutcome: ...

    async def find(self, delivery: Delivery, text: str) -> list[ProviderMessage]: ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class SenderNumbers:
    """The sender of a message: the department's number or messaging service, else the town's."""

    town: str
    departments: Mapping[str, str] = field(default_factory=dict[str, str])

    def for_department(self, department: str) -> str:
        return self.departments.get(department, self.town)


class SmsSender:
    """Sends SMS through several providers. A failing one gets fewer messages, then none, then single ones as a test."""

    provider = "sms"

    def __init__(
        self,
        providers: Sequence[SmsProvider],
        *,
        senders: SenderNumbers,
        shares: Mapping[str, int],
        per_second: float = 0,
        clock: Clock = now,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._senders = senders
        self._balance = ProviderBalance(
            {name: shares.get(name, 100 if len(providers) == 1 else 50) for name in self._providers}
        )
        self._rates = SenderRates(per_second)
        self._clock = clock
        self._chance = chance
        self.provider = next(iter(self._providers))
        self.polled = frozenset(provider.name for provider in providers if provider.is_polled)

    @property
    def points(self) -> dict[str, int]:
        """The current shares of the providers."""
        return self._balance.points

    def is_paused(self) -> bool:
        """Whether no provider may be called now."""
        return self._balance.is_paused(self._clock())

    async def send(self, message: RenderedMessage) -> SendOutcome:
        """Call one provider; if it certainly did not take the message, call another healthy one. No call while all are paused."""
        sender = self._senders.for_department(message.department)
        wait = self._rates.take(sender, self._clock())
        if wait > _LONGEST_WAIT:
            self._rates.return_slot(sender)
            return SendOutcome("retry", None, "temporary", "the sender's own rate")
        if wait:
            await asyncio.sleep(wait.total_seconds())
        name = self._balance.pick(self._clock(), self._chance())
        if name is None:
            return SendOutcome("retry", None, "temporary", "every provider is paused")
        outcome = await self._call(self._providers[name], message, sender)
        # Try another provider at once: the message that tests a recovering one must not wait for it.
        other = self._balance.pick(self._clock(), self._chance(), but=name) if outcome.state == "retry" else None
        return await self._call(self._providers[other], message, sender) if other else outcome

    async def _call(self, provider: SmsProvider, message: RenderedMessage, sender: str) -> SendOutcome:
        began = self._clock()
        before = self.points
        is_well = False
        try:
            outcome = await provider.send(message.delivery, message.content.decode(), sender)
            is_well = outcome.state not in {"retry", "unknown"}
        finally:
            ended = self._clock()
            self._balance.record_call(provider.name, well=is_well, took=ended - began, now=ended, chance=self._chance())
        if self.points != before:
            log.warning("provider.shifted", provider=provider.name, count=self.points[provider.name])
        return SendOutcome(outcome.state, outcome.provider_id, outcome.failure_class, outcome.detail, provider.name)

    async def find(self, delivery: Delivery, text: str) -> list[ProviderMessage]:
        """Query the provider that has accepted the message or, if none is known, all of them.

        Raises: Unavailable, if one cannot be queried and no other has the message: that one may have it.
        """
        has_it = delivery.state == "accepted" and delivery.provider in self._providers
        queried = [self._providers[delivery.provider or ""]] if has_it else list(self._providers.values())
        failure: Unavailable | None = None
        messages: list[ProviderMessage] = []
        for provider in queried:
            try:
                messages += await provider.find(delivery, text)
            except Unavailable as error:
                failure = error
        if failure and not messages:
            raise failure
        return messages

    async def close(self) -> None:
        for provider in self._providers.values():
            await provider.close()


def create_sender(setup: SenderSetup) -> SmsSender:
    """Twilio, and the HTTP gateway where the town has one."""
    settings = setup.settings
    providers: list[SmsProvider] = [
        Twilio(
            account_sid=settings.twilio_account_sid,
            auth_token=settings.twilio_auth_token.get_secret_value(),
            base_url=settings.twilio_base_url,
            public_url=settings.sms_public_url,
            timeout_s=settings.provider_timeout_s,
            most=settings.in_flight,
        )
    ]
    if settings.sms_gateway_url and settings.sms_gateway_token:
        gateway = HttpGateway(
            url=settings.sms_gateway_url.rstrip("/"),
            token=settings.sms_gateway_token.get_secret_value(),
            timeout_s=settings.provider_timeout_s,
            most=settings.in_flight,
        )
        providers.append(gateway)
    numbers = SenderNumbers(settings.sms_sender or setup.town.sms_number, settings.sms_senders)
    return SmsSender(providers, senders=numbers, shares=settings.sms_shares, per_second=settings.sms_per_second)
