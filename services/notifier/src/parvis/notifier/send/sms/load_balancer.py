"""Balances messages among SMS providers by circuit breakers and shares, and limits the rate of each sender. No I/O."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

# GOV.UK Notify's numbers: a provider with too many bad calls loses ten points of its share, at most every five minutes, and
# regains them as slowly.
BAD_SHARE, LOOKED_BACK, FEWEST = 0.15, timedelta(minutes=15), 20
POINTS, CHANGES_EVERY, BACK_AFTER = 10, timedelta(minutes=5), timedelta(minutes=15)
SLOW = timedelta(seconds=5)

FAILURES_UNTIL_OPEN = 5
FIRST_REST, LONGEST_REST = (
    timedelta(seconds=10),
    timedelta(seconds=30),
)  # a recovered provider is used again within half a minute


@dataclass
class CircuitBreaker:
    """Opens after five failed calls in a row; after a rest one call tests whether the provider has recovered."""

    failures: int = 0
    rest: timedelta = FIRST_REST
    opens_at: datetime | None = None
    is_trying: bool = False

    def allows(self, now: datetime) -> bool:
        return self.opens_at is None or (now >= self.opens_at and not self.is_trying)

    def begin(self) -> None:
        self.is_trying = self.opens_at is not None

    def end(self, *, well: bool, now: datetime, chance: float) -> None:
        """Shape: chance, between 0 and 1, spreads the rests of several processes."""
        self.is_trying = False
        if well:
            self.failures, self.rest, self.opens_at = 0, FIRST_REST, None
            return
        self.failures += 1
        if self.failures < FAILURES_UNTIL_OPEN or (self.opens_at and now < self.opens_at):
            return  # not enough failures yet, or a call that was open when the breaker opened
        self.opens_at = now + self.rest * (1 - chance / 4)
        self.rest = min(self.rest * 2, LONGEST_REST)


@dataclass
class _Share:
    rest_points: int
    points: int
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    calls: deque[tuple[datetime, bool]] = field(default_factory=lambda: deque[tuple[datetime, bool]](maxlen=2000))

    def is_bad(self, now: datetime) -> bool:
        recent = [bad for at, bad in self.calls if now - at < LOOKED_BACK]
        return len(recent) >= FEWEST and sum(recent) / len(recent) >= BAD_SHARE


class ProviderBalance:
    """The shares of the providers of one channel, and their circuit breakers."""

    def __init__(self, shares: Mapping[str, int]) -> None:
        self._shares = {name: _Share(points, points) for name, points in shares.items()}
        self._changed_at: datetime | None = None

    @property
    def points(self) -> dict[str, int]:
        return {name: share.points for name, share in self._shares.items()}

    def is_paused(self, now: datetime) -> bool:
        return not any(share.breaker.allows(now) for share in self._shares.values())

    def pick(self, now: datetime, chance: float, *, but: str | None = None) -> str | None:
        """The provider of the next message, other than `but`; None while all are paused."""
        able = {name: share for name, share in self._shares.items() if name != but and share.breaker.allows(now)}
        trying = [name for name, share in able.items() if share.breaker.opens_at]
        if trying:
            return self._begin(trying[0])  # one call tests whether it has recovered
        total = sum(share.points for share in able.values())
        at = chance * total
        for name, share in able.items():
            at -= share.points
            if at < 0 or total == 0:
                return self._begin(name)
        return self._begin(next(reversed(able))) if able else None

    def _begin(self, name: str) -> str:
        self._shares[name].breaker.begin()
        return name

    def record_call(self, name: str, *, well: bool, took: timedelta, now: datetime, chance: float = 0.0) -> None:
        """Record the result of a call, and adapt the shares."""
        share = self._shares[name]
        share.breaker.end(well=well, now=now, chance=chance)
        share.calls.append((now, not well or took > SLOW))
        self._shift(now)

    def _shift(self, now: datetime) -> None:
        since = now - self._changed_at if self._changed_at else BACK_AFTER
        if len(self._shares) < 2 or since < CHANGES_EVERY:
            return
        bad = [name for name, share in self._shares.items() if share.is_bad(now)]
        if len(bad) == 1 and self._shares[bad[0]].points > 0:
            self._move(bad[0], now)
        elif not bad and since >= BACK_AFTER:
            self._move_back(now)

    def _move(self, name: str, now: datetime) -> None:
        taken = min(POINTS, self._shares[name].points)
        others = [share for other, share in self._shares.items() if other != name]
        self._shares[name].points -= taken
        others[0].points += taken
        self._changed_at = now

    def _move_back(self, now: datetime) -> None:
        above = [share for share in self._shares.values() if share.points > share.rest_points]
        below = [share for share in self._shares.values() if share.points < share.rest_points]
        if above and below:
            given = min(POINTS, above[0].points - above[0].rest_points, below[0].rest_points - below[0].points)
            above[0].points -= given
            below[0].points += given
            self._changed_at = now


class SenderRates:
    """A token bucket for each sender: `per_second` messages, and as many in a burst. 0: unlimited."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._free_at: dict[str, datetime] = {}

    def take(self, sender: str, now: datetime) -> timedelta:
        """Take a slot of a sender; gives the time to wait for it."""
        if self._per_second <= 0:
            return timedelta()
        step = timedelta(seconds=1 / self._per_second)
        full_bucket = now - timedelta(seconds=1) + step
        free_at = max(self._free_at.get(sender, full_bucket), full_bucket)
        self._free_at[sender] = free_at + step
        return max(timedelta(), free_at - now)

    def return_slot(self, sender: str) -> None:
        """Return a slot that was not used."""
        if sender in self._free_at:
            self._free_at[sender] -= timedelta(seconds=1 / self._per_second)
