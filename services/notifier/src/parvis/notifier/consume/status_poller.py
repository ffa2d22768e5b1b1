"""Queries providers for the status of deliveries that are unknown, or that no callback will report."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from parvis.common.contract.errors import Poison, Rejected, Unavailable
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database
from parvis.notifier.consume.channel_fallback import ChannelFallback
from parvis.notifier.decide.delivery_states import apply_transition, transition_from_lookup, transition_when_absent
from parvis.notifier.models.delivery import Delivery, ProviderMessage
from parvis.notifier.models.limits import SendingLimits
from parvis.notifier.models.sender_ports import ChannelSender, StatusQueryable
from parvis.notifier.render.message_renderer import MessageRenderer
from parvis.notifier.store.deliveries import lock_deliveries
from parvis.notifier.store.replies import replies_of
from parvis.notifier.store.unresolved_deliveries import known_provider_ids, take_for_polling

log = logger()


@dataclass
class StatusPoller:
    """Queries the senders that support it, about unknown deliveries and about accepted ones of providers without callbacks."""

    database: Database
    fallback: ChannelFallback
    senders: Mapping[str, ChannelSender]
    renderer: MessageRenderer
    limits: SendingLimits
    clock: Clock = now

    async def poll(self) -> int:
        """Run one round; gives the number of deliveries that changed state."""
        moved = 0
        for channel, sender in self.senders.items():
            if isinstance(sender, StatusQueryable):
                for delivery, reply in await self._take(channel, sender):
                    moved += await self._poll_delivery(sender, delivery, reply)
        return moved

    async def _take(self, channel: str, sender: StatusQueryable) -> list[tuple[Delivery, ReplyRequested | None]]:
        at = self.clock()
        async with self.database.transaction() as connection:
            taken = await take_for_polling(connection, channel, at, at - self.limits.poll_every, sender.polled)
            replies = await replies_of(connection, [delivery.reply_id for delivery in taken]) if taken else {}
        return [(delivery, replies.get(delivery.reply_id)) for delivery in taken]

    async def _poll_delivery(self, sender: StatusQueryable, delivery: Delivery, reply: ReplyRequested | None) -> bool:
        try:
            text = await asyncio.to_thread(self._text_of, delivery, reply)
            messages = await sender.find(delivery, text)
        except Unavailable as error:
            log.warning("status-poll.failed", delivery_id=delivery.delivery_id, reason=str(error))
            return False
        return await self._write(delivery, messages)

    def _text_of(self, delivery: Delivery, reply: ReplyRequested | None) -> str:
        """The text that was sent; empty if it cannot be rendered any more: then the provider's list is searched for the reference."""
        if reply is None:
            return ""
        try:
            return self.renderer.render(reply, delivery, self.clock()).content.decode()
        except (Rejected, Poison, ValueError, LookupError):
            return ""

    async def _write(self, delivery: Delivery, messages: Sequence[ProviderMessage]) -> bool:
        at = self.clock()
        async with self.database.transaction() as connection:
            current = (await lock_deliveries(connection, [delivery.delivery_id])).get(delivery.delivery_id)
            if current is None or (current.state, current.attempt) != (delivery.state, delivery.attempt):
                return False  # a callback came first
            taken = await known_provider_ids(connection, [message.provider_id for message in messages])
            resolved = self._resolve(current, messages, taken, at)
            if resolved.state != current.state:
                await self.fallback.store_changes(connection, [(current, resolved)], at)
        return resolved.state != current.state

    def _resolve(
        self, current: Delivery, messages: Sequence[ProviderMessage], taken: set[str], at: datetime
    ) -> Delivery:
        """Shape: taken, the provider ids that already belong to a delivery."""
        candidates = (m for m in messages if m.provider_id == current.provider_id or m.provider_id not in taken)
        message = next(candidates, None)
        if message:
            to = transition_from_lookup(message)
            return apply_transition(current, to, at, provider=message.provider, provider_id=message.provider_id)
        is_old = current.reserved_at is None or at - current.reserved_at >= self.limits.unknown_after
        if current.state != "unknown" or not is_old:
            return current
        to = transition_when_absent(current)
        if to.state != "planned":
            return apply_transition(current, to, at)
        log_resend(current, "no provider has it")
        return apply_transition(current, to, at, resent_at=at)


def log_resend(delivery: Delivery, reason: str) -> None:
    """Log a send beyond the first; `parvis notifier sends` counts it as explained."""
    log.warning(
        "delivery.resent",
        delivery_id=delivery.delivery_id,
        reply_id=delivery.reply_id,
        conversation_id=delivery.conversation_id,
        kind=delivery.kind,
        channel=delivery.channel,
        attempt=delivery.attempt + 1,
        reason=reason,
    )
