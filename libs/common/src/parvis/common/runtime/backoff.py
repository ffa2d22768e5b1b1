"""Computes how long to wait before the next attempt: exponential back-off with a ceiling."""

from dataclasses import dataclass, field


@dataclass
class Backoff:
    """Doubles the wait with each failure, up to `longest_s`; a success calls `reset`.

    Eleven lines of our own: tenacity and stamina decorate a function that is retried as a whole; our loops keep polling,
    answer /ready and obey SIGTERM between two attempts.
    """

    first_s: float
    longest_s: float
    _next_s: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.reset()

    def next_wait_s(self) -> float:
        wait_s, self._next_s = self._next_s, min(self._next_s * 2, self.longest_s)
        return wait_s

    def reset(self) -> None:
        self._next_s = min(self.first_s, self.longest_s)
