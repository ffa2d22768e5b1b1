"""Deliveries that came to an end in; what we learnt, and the next channel, out, in the same transaction."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.preference import PreferenceChanged
from parvis.common.runtime.logs import logger
from parvis.notifier.decide.channel_choice import Addressing, or_kept
from parvis.notifier.decide.delivery_states import Next, goes_on, stepped
from parvis.notifier.decide.preferences import Kept, learnt_by_sending
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.store import deliveries as rows
from parvis.notifier.store.delivery_ledger import Ledger
from parvis.notifier.store.effective_preferences import kept_for
from parvis.notifier.store.replies import replies_of

log = logger()
_OVER = frozenset({"failed", "undelivered", "cancelled"})
_NAMESPACE = uuid.UUID("0f6c3c58-6a55-5b0e-9d0d-5f3f6f1f7a11")

Change = tuple[Delivery, Delivery]  # a locked delivery as it stood and as it stands


@dataclass(frozen=True)
class Steps:
    """The fallback chain: a reply that did not arrive on one channel goes on by the citizen's next one, down to paper and people.

    Never two at a time: a step is planned when the one before it has ended, and is called off when that one arrives after all.
    """

    ledger: Ledger
    addressing: Addressing

    async def write(self, connection: AsyncConnection, changes: Sequence[Change], at: datetime) -> None:
        """Write locked deliveries and whatever follows from their ends."""
        ended = [stands for stood, stands in changes if stands.state != stood.state and goes_on(stands)]
        mended = [stands for stood, stands in changes if stands.state == "delivered" and stood.state in _OVER]
        if not ended and not mended:
            await self.ledger.write(connection, changes, at)
            return
        further = await self._further(connection, ended, at)
        moving = {name: replace(delivery, moves_to=next_.channel) for name, (delivery, next_) in further.items()}
        told = [(stood, moving.get(stands.delivery_id, stands)) for stood, stands in changes]
        await self.ledger.write(connection, told, at)
        await self.ledger.plan(connection, [next_ for _, next_ in further.values()], at)
        await self._call_off(connection, mended, at)

    async def say(self, connection: AsyncConnection, said: Sequence[PreferenceChanged]) -> None:
        """Keep what we learnt, and tell it: it is as much a preference as what citizens say."""
        named = {str(uuid.uuid5(_NAMESPACE, f"{one.source}\x1f{one.detail}\x1f{one.changed_at}")): one for one in said}
        await self.ledger.say(connection, named)

    async def _further(
        self, connection: AsyncConnection, ended: Sequence[Delivery], at: datetime
    ) -> Mapping[str, tuple[Delivery, Delivery]]:
        """The next step of each that goes on, by the id of the one that ended."""
        if not ended:
            return {}
        ids = {delivery.reply_id for delivery in ended}
        replies = await replies_of(connection, ids)
        kept = await self._having_learnt(
            connection, ended, await kept_for(connection, self.addressing, replies.values()), at
        )
        steps = await rows.of_replies(connection, ids)
        further: dict[str, tuple[Delivery, Delivery]] = {}
        for delivery in ended:
            others = [d for d in steps[delivery.reply_id] if d.delivery_id != delivery.delivery_id]
            if any(other.state not in _OVER or other.channel == "phone" for other in others):
                continue  # it goes on already, or people have it
            reply = replies[delivery.reply_id]
            tried = {d.channel for d in others if d.state != "cancelled"} | {delivery.channel}
            choice = or_kept(self.addressing.choose(reply, kept, tried), delivery)
            step = max(d.step for d in steps[delivery.reply_id]) + 1
            next_ = replace(self.addressing.plan(reply, choice, step=step), send_at=at, why=_why(delivery, choice.why))
            further[delivery.delivery_id] = delivery, next_
            _tell(delivery, next_)
        return further

    async def _having_learnt(
        self, connection: AsyncConnection, ended: Sequence[Delivery], kept: Kept, at: datetime
    ) -> Kept:
        said = [one for delivery in ended if (one := learnt_by_sending(delivery, kept, at))]
        await self.say(connection, said)
        return await self._again(connection, ended) if said else kept

    async def _again(self, connection: AsyncConnection, ended: Sequence[Delivery]) -> Kept:
        replies = await replies_of(connection, {delivery.reply_id for delivery in ended})
        return await kept_for(connection, self.addressing, replies.values())

    async def _call_off(self, connection: AsyncConnection, mended: Sequence[Delivery], at: datetime) -> None:
        """It arrived after all: a later step that has not left is not needed any more."""
        steps = await rows.of_replies(connection, {delivery.reply_id for delivery in mended}) if mended else {}
        later = [d for known in steps.values() for d in known if d.state == "planned" and not d.attempt and d.step > 1]
        locked = await rows.lock(connection, [d.delivery_id for d in later]) if later else {}
        off = Next("cancelled", detail="the step before it arrived after all")
        await self.ledger.write(
            connection, [(d, stepped(d, off, at)) for d in locked.values() if d.state == "planned"], at
        )


def _why(delivery: Delivery, more: str) -> str:
    return f"{delivery.channel}: {delivery.failure_class or delivery.state} {delivery.detail}; {more}".strip(" ;")[:200]


def _tell(delivery: Delivery, next_: Delivery) -> None:
    log.info(
        "delivery.moved",
        reply_id=delivery.reply_id,
        conversation_id=delivery.conversation_id,
        channel=next_.channel,
        reason=delivery.failure_class or "",
        sequence=next_.step,
    )
