"""Polls a condition until it holds, a deadline passes, or the stack is stopped."""

import time
from collections.abc import Callable
from threading import Event


class StartInterrupted(Exception):
    """SIGINT or SIGTERM arrived during the start."""


NEVER = Event()  # for callers that cannot be stopped: tests, `doctor`


def wait_until(
    condition: Callable[[], bool], *, seconds: float, stopping: Event = NEVER, every_s: float = 0.02
) -> bool:
    """Poll until the condition holds.

    Gives:  whether it held in time.
    Raises: StartInterrupted, as soon as `stopping` is set.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if stopping.is_set():
            raise StartInterrupted
        if time.monotonic() >= deadline:
            return False
        # Event.wait returns as soon as the event is set, so that stopping does not wait for the next poll.
        (time.sleep if stopping is NEVER else stopping.wait)(every_s)
    return True
