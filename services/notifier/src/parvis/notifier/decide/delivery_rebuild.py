"""Rebuilds the ledger's row of a delivery from its delivery.updated events. Pure; no I/O."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from parvis.common.contract.delivery import DeliveryUpdated, is_late_bounce, is_later_stage, outranks
from parvis.common.contract.reply import ReplyRequested
from parvis.notifier.decide.channel_choice import ChannelChoice, ChannelChooser
from parvis.notifier.models.delivery import Delivery

_RESERVED_AFTER_BACKUP = "reserved after the backup: it may have been sent"
# The order within one attempt. `planned` ends an attempt that the provider did not take; a later callback outranks it.
_ORDER = {
    "reserved": 1,
    "unknown": 2,
    "planned": 3,
    "cancelled": 4,
    "accepted": 5,
    "failed": 6,
    "undelivered": 6,
    "delivered": 6,
}
_TAKEN = frozenset({"unknown", "accepted", "delivered", "undelivered"})


@dataclass(frozen=True)
class DeliveryHistory:
    """The topic's record of one delivery: the decisive update, and when each attempt reached each state."""

    last: DeliveryUpdated
    attempts: Mapping[int, Mapping[str, datetime]]

    @property
    def reserved_at(self) -> list[datetime]:
        return [states["reserved"] for states in self.attempts.values() if "reserved" in states]

    @property
    def attempt(self) -> int:
        """The newest attempt that was begun; 0 if none was."""
        return max((number for number, states in self.attempts.items() if "reserved" in states), default=0)

    @property
    def sends(self) -> int:
        """How many attempts the provider took or may have taken. One without a later update was given back, unless it is the last."""
        taken = {number for number, states in self.attempts.items() if _TAKEN & states.keys()}
        return len(taken | ({self.attempt} if self.last.state == "reserved" else set[int]()))

    @property
    def resent_at(self) -> datetime | None:
        """When an unknown delivery was planned again: a logged resend. None if it never was."""
        return min(
            (states["planned"] for states in self.attempts.values() if {"unknown", "planned"} <= states.keys()),
            default=None,
        )


def group_by_delivery(events: Iterable[DeliveryUpdated]) -> dict[str, DeliveryHistory]:
    """The history of each delivery, by id; updates may be repeated, and in any order."""
    updates: dict[str, list[DeliveryUpdated]] = {}
    for event in events:
        updates.setdefault(event.delivery_id, []).append(event)
    return {delivery_id: build_history(of_delivery) for delivery_id, of_delivery in updates.items()}


def build_history(updates: Sequence[DeliveryUpdated]) -> DeliveryHistory:
    """The history of one delivery; `updates` is not empty."""
    attempts: dict[int, dict[str, datetime]] = {}
    last = updates[0]
    for update in updates:
        attempts.setdefault(update.attempt, {}).setdefault(update.state, update.at)
        last = update if _counts_more(update, last) else last
    return DeliveryHistory(last, attempts)


def _counts_more(new: DeliveryUpdated, old: DeliveryUpdated) -> bool:
    ours, theirs = (new.attempt, _ORDER[new.state]), (old.attempt, _ORDER[old.state])
    if ours != theirs:
        return ours > theirs
    if new.state == old.state:
        return is_later_stage(new.stage, old.stage)
    failed = new if new.state == "undelivered" else old
    return outranks(new.state, old.state, came_back=is_late_bounce(failed.channel, failed.failure_class))


def is_behind(row: Delivery | None, published: DeliveryUpdated) -> bool:
    """Whether the row is older than the published update. It never is, unless the database was restored from a backup.

    A row is written before its event is published, so it may well be newer.
    """
    if row is None:
        return True
    if row.state == "planned" and published.state == "cancelled":
        return False  # it was cancelled, and planned again
    # A failure before any attempt is published as the first attempt.
    attempt = row.attempt if row.state == "planned" else max(1, row.attempt)
    ours, theirs = (attempt, _ORDER[row.state]), (published.attempt, _ORDER[published.state])
    return ours < theirs or (ours == theirs and is_later_stage(published.stage, row.stage))


def rebuild_delivery(
    history: DeliveryHistory, reply: ReplyRequested, chooser: ChannelChooser, known: Delivery | None
) -> Delivery:
    """Rebuild one row.

    Gives:  `unknown` where the topic ends with `reserved`: it may have been sent, so it is not sent again by itself.
    """
    last = history.last
    base = known or chooser.build_delivery(reply, _choice(reply, chooser, last), step=last.step)
    is_open = last.state == "reserved"
    return replace(
        base,
        state="unknown" if is_open else last.state,
        attempt=max(history.attempt, base.attempt),
        failure_class=last.failure_class,
        detail=_RESERVED_AFTER_BACKUP if is_open else last.detail,
        provider=last.provider or base.provider,
        provider_id=last.provider_id or base.provider_id,
        evidence=last.evidence or base.evidence,
        first_reserved_at=min(filter(None, (base.first_reserved_at, *history.reserved_at)), default=None),
        reserved_at=max(filter(None, (base.reserved_at, *history.reserved_at)), default=None),
        step=last.step,
        why=last.why or base.why,
        moves_to=last.moves_to,
        stage=last.stage,
        sends=max(base.sends, history.sends),
        resent_at=base.resent_at or history.resent_at,
    )


def _choice(reply: ReplyRequested, chooser: ChannelChooser, last: DeliveryUpdated) -> ChannelChoice:
    """The choice of that channel. The topic holds no address, so it is chosen again; empty if the citizen has none on that channel now."""
    tried: set[str] = set()
    while (choice := chooser.choose(reply, {}, tried)).channel not in {last.channel, "phone"}:
        tried.add(choice.channel)
    return choice if choice.channel == last.channel else ChannelChoice(last.channel, why=last.why)
