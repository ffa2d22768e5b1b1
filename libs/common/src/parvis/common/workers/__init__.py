"""Hostile bytes in, answers out: jobs done in processes with limits, kept warm, watched, killed and replaced."""

from typing import TYPE_CHECKING

from parvis.common.workers.frames import Frame
from parvis.common.workers.limits import Limits

if TYPE_CHECKING:
    from parvis.common.workers.pool import Answer, Workers

__all__ = ["Answer", "Frame", "Limits", "Workers"]


def __getattr__(name: str) -> object:
    """The service's side is imported when it is asked for: with its logs it is a third of what a worker's start costs."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from parvis.common.workers import pool

    return getattr(pool, name)
