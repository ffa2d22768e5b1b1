"""Polls a condition until it holds, a deadline passes, or the stack is told to stop."""

import time
from collections.abc import Callable
from threading import Event


class StackStopped(Exception):
    """SIGINT or SIGTERM came while something was being started."""


NEVER = Event()  # for those whom nobody can stop: tests, `doctor`


def wait_until(
    condition: Callable[[], bool], *, seconds: float, stopping: Event = NEVER, every_s: float = 0.02
) -> bool:
    """Ask until the answer is yes.

    Gives:  True, or False when the time is over.
    Raises: Stopped, as soon as `stopping` is set.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if stopping.is_set():
            raise StackStopped
        if time.monotonic() >= deadline:
            return False
        # Event.wait returns at once when it is set: a stop never waits for the next question.
        (time.sleep if stopping is NEVER else stopping.wait)(every_s)
    return True
