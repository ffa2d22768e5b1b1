"""Waits for a condition or for a contact's routing, up to a time limit."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from parvis.common.contract.contact import make_contact_id
from parvis.local.demo.watch import Journey, JourneyWatch
from tests.patience import PATIENCE_S

Seen = TypeVar("Seen")
TOWN_NUMBER = "+33536490100"


async def until(look: Callable[[], Seen | None], *, seconds: float = PATIENCE_S) -> Seen:
    """Wait until `look` returns a value that is not empty. Gives that value."""
    async with asyncio.timeout(seconds):
        while not (seen := look()):
            await asyncio.sleep(0.05)
        return seen


async def until_there(look: Callable[[], Awaitable[Seen]]) -> Seen:
    """Ask again until the answer is not empty. Gives that answer."""
    async with asyncio.timeout(PATIENCE_S):
        while not (seen := await look()):
            await asyncio.sleep(0.1)
        return seen


async def routed(watch: JourneyWatch, told: dict[str, Any]) -> Journey:
    """Wait until one text message is routed. Gives its journey."""
    made = make_contact_id("sms", TOWN_NUMBER, told["sid"])

    def look() -> Journey | None:
        journey = watch.journeys.get(made)
        return journey if journey and journey.department else None

    return await until(look)
