"""What the topics say of deliveries in, the ledger's rows as they must stand out: for a database older than Kafka. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from parvis.common.contract.delivery import DeliveryUpdated, is_late_bounce, outranks
from parvis.common.contract.reply import ReplyRequested
from parvis.notifier.decide.channel_choice import Addressing, Choice
from parvis.notifier.models.delivery import Delivery

_DIED = "reserved after the backup: nobody knows whether it left"
# Within one attempt; `planned` ends an attempt that the provider did not take, a later callback knows better.
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


@dataclass
class Told:
    """All that the topic says of one delivery: the word that counts, and what was said of each attempt."""

    last: DeliveryUpdated
    attempts: dict[int, dict[str, datetime]] = field(default_factory=dict[int, dict[str, datetime]])

    def hear(self, event: DeliveryUpdated) -> None:
        """Take one more word; they may come twice, and in any order."""
        self.attempts.setdefault(event.attempt, {}).setdefault(event.state, event.at)
        if _counts_more(event, self.last):
            self.last = event

    @property
    def reserved_at(self) -> list[datetime]:
        return [said["reserved"] for said in self.attempts.values() if "reserved" in said]

    @property
    def attempt(self) -> int:
        """The newest attempt that was begun; 0 when none was."""
        return max((number for number, said in self.attempts.items() if "reserved" in said), default=0)

    @property
    def sends(self) -> int:
        """Attempts that the provider took or may have taken; one that nothing more is said of was given back, unless it is the last."""
        taken = {number for number, said in self.attempts.items() if _TAKEN & said.keys()}
        return len(taken | ({self.attempt} if self.last.state == "reserved" else set[int]()))

    @property
    def resent_at(self) -> datetime | None:
        """When an unknown one was given another attempt: a logged resend."""
        return min(
            (said["planned"] for said in self.attempts.values() if {"unknown", "planned"} <= said.keys()), default=None
        )


def folded(events: Iterable[DeliveryUpdated]) -> dict[str, Told]:
    """Everything that was told, by delivery."""
    told: dict[str, Told] = {}
    for event in events:
        told.setdefault(event.delivery_id, Told(event)).hear(event)
    return told


def _counts_more(new: DeliveryUpdated, old: DeliveryUpdated) -> bool:
    ours, theirs = (new.attempt, _ORDER[new.state]), (old.attempt, _ORDER[old.state])
    if ours != theirs:
        return ours > theirs
    failed = new if new.state == "undelivered" else old
    return outranks(new.state, old.state, came_back=is_late_bounce(failed.channel, failed.failure_class))


def is_behind(row: Delivery | None, told: DeliveryUpdated) -> bool:
    """Whether the ledger knows less than the topic. It never does, unless the database was put back to an earlier day.

    A row is written before it is told: it may know more, and a later state that outranks it may not be told yet.
    """
    if row is None:
        return True
    if row.state == "planned" and told.state == "cancelled":
        return False  # it was called off, and taken up again
    # What failed before any attempt is told as the first.
    attempt = row.attempt if row.state == "planned" else max(1, row.attempt)
    return (attempt, _ORDER[row.state]) < (told.attempt, _ORDER[told.state])


def rebuilt(told: Told, reply: ReplyRequested, addressing: Addressing, known: Delivery | None) -> Delivery:
    """One delivery as it must stand.

    Gives:  where the topic says no more than `reserved`: unknown, for it may have left. That is no reason to send it again.
    """
    last = told.last
    base = known or addressing.plan(reply, _choice(reply, addressing, last), step=last.step)
    is_open = last.state == "reserved"
    return replace(
        base,
        state="unknown" if is_open else last.state,
        attempt=max(told.attempt, base.attempt),
        failure_class=last.failure_class,
        detail=_DIED if is_open else last.detail,
        provider=last.provider or base.provider,
        provider_id=last.provider_id or base.provider_id,
        evidence=last.evidence or base.evidence,
        first_reserved_at=min(filter(None, (base.first_reserved_at, *told.reserved_at)), default=None),
        reserved_at=max(filter(None, (base.reserved_at, *told.reserved_at)), default=None),
        step=last.step,
        why=last.why or base.why,
        moves_to=last.moves_to,
        sends=max(base.sends, told.sends),
        resent_at=base.resent_at or told.resent_at,
    )


def _choice(reply: ReplyRequested, addressing: Addressing, last: DeliveryUpdated) -> Choice:
    """The address that the reply would take on that channel: the topic has none. None where its citizen has none there now."""
    tried: set[str] = set()
    while (choice := addressing.choose(reply, {}, tried)).channel not in {last.channel, "phone"}:
        tried.add(choice.channel)
    return choice if choice.channel == last.channel else Choice(last.channel, why=last.why)
