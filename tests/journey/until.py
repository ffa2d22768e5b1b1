"""Waiting for what will happen, with an end to patience."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from parvis.common.contract.contact import make_contact_id
from parvis.local.demo.watch import Journey, JourneyWatch
from tests.patience import PATIENCE_S

Seen = TypeVar("Seen")
TOWN_NUMBER = "+33536490100"


async def until(look: Callable[[], Seen | None], *, seconds: float = PATIENCE_S) -> Seen:
    """What `look` sees, as soon as it sees something."""
    async with asyncio.timeout(seconds):
        while not (seen := look()):
            await asyncio.sleep(0.05)
        return seen


async def routed(watch: JourneyWatch, told: dict[str, Any]) -> Journey:
    """The journey of one text message, as the outside world told of it, once it lies in a department."""
    made = make_contact_id("sms", TOWN_NUMBER, told["sid"])

    def look() -> Journey | None:
        journey = watch.journeys.get(made)
        return journey if journey and journey.department else None

    return await until(look)
