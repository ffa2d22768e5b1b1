"""Deliveries whose fate nobody told in; what their provider says when it is asked, written, out. Never a blind second send."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from parvis.common.contract.errors import Rejected, Unavailable
from parvis.common.contract.reply import ReplyRequested
from parvis.common.runtime.clock import Clock, now
from parvis.common.runtime.logs import logger
from parvis.common.storage.postgres import Database
from parvis.notifier.consume.channel_fallback import Steps
from parvis.notifier.decide.delivery_states import as_absent, as_found, stepped
from parvis.notifier.models.delivery import Delivery, Found
from parvis.notifier.models.limits import Limits
from parvis.notifier.models.message import Parcel
from parvis.notifier.models.sender_ports import Answers, Channel
from parvis.notifier.store.deliveries import lock
from parvis.notifier.store.replies import replies_of
from parvis.notifier.store.unresolved_deliveries import known_provider_ids, to_ask_about

log = logger()
Render = Callable[[ReplyRequested, Delivery, datetime], Parcel]


@dataclass
class Asking:
    """Asks providers that can be asked: about the unknown, and about what they took and will not speak of by themselves."""

    database: Database
    steps: Steps
    channels: Mapping[str, Channel]
    render: Render
    limits: Limits
    clock: Clock = now

    async def ask(self) -> int:
        """One round; how many deliveries it moved."""
        moved = 0
        for name, channel in self.channels.items():
            if isinstance(channel, Answers):
                for delivery, reply in await self._waiting(name, channel):
                    moved += await self._ask_about(channel, delivery, reply)
        return moved

    async def _waiting(self, name: str, channel: Answers) -> list[tuple[Delivery, ReplyRequested]]:
        at = self.clock()
        async with self.database.transaction() as connection:
            taken = await to_ask_about(connection, name, at, at - self.limits.ask_every, channel.polled)
            replies = await replies_of(connection, [delivery.reply_id for delivery in taken]) if taken else {}
        return [(delivery, replies[delivery.reply_id]) for delivery in taken]

    async def _ask_about(self, channel: Answers, delivery: Delivery, reply: ReplyRequested) -> bool:
        try:
            text = await asyncio.to_thread(self._text_of, delivery, reply)
            found = await channel.find(delivery, text)
        except Unavailable as error:
            log.warning("provider.silent", delivery_id=delivery.delivery_id, reason=str(error))
            return False
        return await self._write(delivery, found)

    def _text_of(self, delivery: Delivery, reply: ReplyRequested) -> str:
        try:
            return self.render(reply, delivery, self.clock()).content.decode()
        except Rejected:
            return ""  # then the reference alone tells

    async def _write(self, delivery: Delivery, found: Sequence[Found]) -> bool:
        at = self.clock()
        async with self.database.transaction() as connection:
            stood = (await lock(connection, [delivery.delivery_id])).get(delivery.delivery_id)
            if stood is None or (stood.state, stood.attempt) != (delivery.state, delivery.attempt):
                return False  # a callback was faster
            stands = await self._resolved(
                stood, found, await known_provider_ids(connection, [f.provider_id for f in found]), at
            )
            if stands.state != stood.state:
                await self.steps.write(connection, [(stood, stands)], at)
        return stands.state != stood.state

    async def _resolved(self, stood: Delivery, found: Sequence[Found], taken: set[str], at: datetime) -> Delivery:
        free = [one for one in found if one.provider_id == stood.provider_id or one.provider_id not in taken]
        if free:
            one = free[0]
            return stepped(stood, as_found(one), at, provider=one.provider, provider_id=one.provider_id)
        is_old = stood.reserved_at is None or at - stood.reserved_at >= self.limits.unknown_after
        if stood.state != "unknown" or not is_old:
            return stood
        to = as_absent(stood)
        if to.state != "planned":
            return stepped(stood, to, at)
        tell_resent(stood, "no provider has it")
        return stepped(stood, to, at, resent_at=at)


def tell_resent(delivery: Delivery, reason: str) -> None:
    """Every send of a reply beyond the first is a line in the log."""
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
