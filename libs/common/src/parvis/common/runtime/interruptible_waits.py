"""Waits for the first of several events, and sleeps until a service is stopped."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def first_completed(*waits: Coroutine[Any, Any, Any], timeout_s: float | None = None) -> None:
    """Return when the first of these has ended, or after `timeout_s`; the others are cancelled and awaited.

    Raises: what the first one that ended raised.
    """
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def sleep_unless_stopped(stopping: asyncio.Event, seconds: float) -> bool:
    """Sleep this long, or until the service is stopped. Gives whether it was stopped."""
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return False
    return True
