"""Due deliveries out of the table, in one transaction a batch; those that may leave now, reserved, out."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.runtime import metrics
from parvis.common.runtime.logs import logger
from parvis.notifier.decide.channel_choice import Addressing, points_of
from parvis.notifier.decide.delivery_states import Next
from parvis.notifier.decide.preferences import Kept, wishes_for
from parvis.notifier.decide.quiet_hours import Peace
from parvis.notifier.decide.send_budget import Sent, refusal
from parvis.notifier.models.delivery import Delivery
from parvis.notifier.models.limits import Limits
from parvis.notifier.store import deliveries as rows
from parvis.notifier.store import send_counts
from parvis.notifier.store.delivery_ledger import Ledger
from parvis.notifier.store.due_deliveries import Due, pick_due, reserve
from parvis.notifier.store.effective_preferences import kept_for

log = logger()
_TOWN_WAITS = timedelta(minutes=2)  # until an hour's budget of automatic messages is looked at again


@dataclass(frozen=True)
class Reserving:
    """Takes what is due: still the right channel, not in somebody's quiet hours, within every budget."""

    ledger: Ledger
    addressing: Addressing
    peace: Peace
    limits: Limits
    worker: str

    async def reserve(
        self, connection: AsyncConnection, room: int, at: datetime, resting: Collection[str]
    ) -> tuple[list[Due], int]:
        """The deliveries that are reserved now, and how many were picked."""
        picked = await pick_due(connection, at, room, resting)
        if not picked:
            return [], 0
        kept = await kept_for(connection, self.addressing, [due.reply for due in picked])
        steady = [due for due in picked if await self._is_still_right(connection, due, kept, at)]
        awake = await self._awake(connection, [self._as_wished(due, kept) for due in steady], kept, at)
        allowed = await self._within_budget(connection, awake, at)
        if allowed:
            ids = [due.delivery.delivery_id for due in allowed]
            await reserve(connection, ids, worker=self.worker, now=at, lease_until=at + self.limits.lease)
            await send_counts.count_automatic(connection, sum(due.delivery.is_automatic for due in allowed), at)
        return [replace(due, delivery=_reserved(due.delivery, at)) for due in allowed], len(picked)

    async def _is_still_right(self, connection: AsyncConnection, due: Due, kept: Kept, at: datetime) -> bool:
        """Choose again: a citizen may have changed their mind while a reply was held."""
        delivery = due.delivery
        tried = await self._tried(connection, delivery)
        choice = self.addressing.choose(due.reply, kept, tried)
        if (choice.channel, choice.address, choice.failure_class) == (delivery.channel, delivery.address, None):
            return True
        if delivery.channel == "inbox" and choice.failure_class:
            return True  # it is the last way before people have to call, and was no choice of the citizen's
        planned = replace(self.addressing.plan(due.reply, choice, step=delivery.step), send_at=delivery.send_at)
        if choice.channel == delivery.channel:
            await rows.readdress(connection, planned, at)  # sent at the next look
        else:
            await self.ledger.step(connection, delivery, Next("cancelled", detail="the citizen chose otherwise"), at)
            await self.ledger.plan(connection, [planned], at)
        return False

    async def _tried(self, connection: AsyncConnection, delivery: Delivery) -> set[str]:
        if delivery.step == 1:
            return set()
        steps = await rows.of_replies(connection, [delivery.reply_id])
        return {d.channel for d in steps[delivery.reply_id] if d.step < delivery.step and d.state != "cancelled"}

    def _as_wished(self, due: Due, kept: Kept) -> Due:
        """In the language and the type that the citizen reads."""
        if not kept:
            return due
        wishes = wishes_for(due.delivery.address_hash, self._hashes(due), kept)
        reply = due.reply.model_copy(update={"language": wishes.language}) if wishes.language else due.reply
        return Due(replace(due.delivery, large_print=bool(wishes.large_print)), reply)

    def _hashes(self, due: Due) -> list[str]:
        return [self.addressing.hash_of(point) for point in points_of(due.reply)]

    async def _awake(self, connection: AsyncConnection, due: list[Due], kept: Kept, at: datetime) -> list[Due]:
        """Those that disturb nobody; the others wait for the end of the quiet hours."""
        if not kept:
            return due
        awake: list[Due] = []
        for one in due:
            hours = wishes_for(one.delivery.address_hash, self._hashes(one), kept).quiet_hours
            until = self.peace.hold_until(one.reply, one.delivery.channel, hours, at, self.limits)
            if until is None:
                awake.append(one)
            else:
                await rows.hold(connection, [one.delivery.delivery_id], until)
        return awake

    async def _within_budget(self, connection: AsyncConnection, due: list[Due], at: datetime) -> list[Due]:
        """Those whose address, whose conversation and whose town have not had their fill; the address is locked."""
        due = await self._within_the_hour(connection, due, at)
        if not due:
            return []
        hashes = {one.delivery.address_hash for one in due}
        await send_counts.lock_addresses(connection, hashes)
        ids = {one.delivery.delivery_id for one in due}
        counted = await send_counts.sent_to(connection, hashes, at, but=ids)
        got = await send_counts.conversations_got(connection, {one.delivery.conversation_id for one in due}, at)
        allowed: list[Due] = []
        for one in due:
            delivery = one.delivery
            sent = _sent(delivery, counted, got)
            if no := refusal(delivery, sent, self.limits):
                await self.ledger.step(connection, delivery, no, at)
                _tell_of_a_loop(delivery, sent.automatic, self.limits)
                continue
            counted[delivery.address_hash] = (
                sent.automatic + delivery.is_automatic,
                sent.answers + (not delivery.is_automatic),
            )
            got.of_today[delivery.conversation_id] += 1
            allowed.append(one)
        return allowed

    async def _within_the_hour(self, connection: AsyncConnection, due: list[Due], at: datetime) -> list[Due]:
        """No failure: when the whole town writes, notices come later. When a machine makes it write, somebody is told."""
        automatic = [one for one in due if one.delivery.is_automatic]
        room = self.limits.automatic_an_hour - (
            await send_counts.automatic_of_the_hour(connection, at) if automatic else 0
        )
        late = automatic[max(0, room) :]
        if not late:
            return due
        await rows.hold(connection, [one.delivery.delivery_id for one in late], at + _TOWN_WAITS)
        log.error("town.slowed", count=len(late), limit_s=_TOWN_WAITS.total_seconds())
        metrics.loops_suspected.labels("town").inc()
        return [one for one in due if one not in late]


def _sent(delivery: Delivery, counted: Mapping[str, tuple[int, int]], got: send_counts.Conversations) -> Sent:
    automatic, answers = counted.get(delivery.address_hash, (0, 0))
    return Sent(
        automatic,
        answers,
        got.of_today[delivery.conversation_id],
        got.has_another(delivery.conversation_id, delivery.kind, delivery.reply_id),
    )


def _reserved(delivery: Delivery, at: datetime) -> Delivery:
    return replace(
        delivery,
        state="reserved",
        attempt=delivery.attempt + 1,
        sends=delivery.sends + 1,
        first_reserved_at=delivery.first_reserved_at or at,
        reserved_at=at,
        failure_class=None,
        detail="",
    )


def _tell_of_a_loop(delivery: Delivery, automatic: int, limits: Limits) -> None:
    """Nobody causes so many automatic messages in a day but another machine: somebody should look (promise 7)."""
    if delivery.is_automatic and automatic >= limits.automatic_a_day:
        metrics.loops_suspected.labels(delivery.channel).inc()
        log.error(
            "loop.suspected",
            conversation_id=delivery.conversation_id,
            reply_id=delivery.reply_id,
            channel=delivery.channel,
            kind=delivery.kind,
            sender_hash=delivery.address_hash,
            count=automatic,
        )
