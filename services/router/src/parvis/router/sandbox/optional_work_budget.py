"""Limits the time of optional work to a share of all time, with a reserve for bursts."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager


class TimeBudget:
    """A reserve of seconds that work uses up and that fills again by `share` of the time that passes."""

    def __init__(self, *, share: float, reserve_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._share, self._reserve_s, self._clock = share, reserve_s, clock
        self._left_s, self._filled_at = reserve_s, clock()

    @contextmanager
    def spending(self) -> Generator[bool]:
        """Give whether there is time left; what the block takes is used up, also beyond what was left."""
        began = self._clock()
        self._left_s = min(self._reserve_s, self._left_s + self._share * (began - self._filled_at))
        self._filled_at = began
        try:
            yield self._left_s > 0
        finally:
            self._left_s -= self._clock() - began
