"""Waiting for what will happen, with an end to patience."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")


async def until(look: Callable[[], Seen | None], *, seconds: float = 60) -> Seen:
    """What `look` sees, as soon as it sees something."""
    async with asyncio.timeout(seconds):
        while not (seen := look()):
            await asyncio.sleep(0.05)
        return seen
