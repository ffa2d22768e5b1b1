"""Facts about a service's periodic tasks: one turn that fails ends neither the task nor the service."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from parvis.common.contract.errors import Misconfigured, Unavailable
from parvis.common.runtime import service
from parvis.common.runtime.health import Health
from parvis.common.runtime.service import run_every, run_health_check


async def run_turns(task: Callable[[asyncio.Event], Awaitable[None]], stopping: asyncio.Event) -> None:
    async with asyncio.timeout(60):
        await task(stopping)


@pytest.mark.parametrize("error", [Unavailable("away"), TimeoutError(), ZeroDivisionError(), OSError("disk")])
async def test_a_turn_that_fails_is_followed_by_the_next(error: Exception):
    stopping, turns = asyncio.Event(), 0

    async def purge() -> None:
        nonlocal turns
        turns += 1
        if turns == 1:
            raise error
        stopping.set()

    await run_turns(run_every(0.01, purge), stopping)

    assert turns == 2


async def test_a_misconfigured_turn_ends_the_service():
    async def check() -> None:
        raise Misconfigured("no such folder")

    with pytest.raises(Misconfigured):
        await run_turns(run_every(0.01, check), asyncio.Event())


async def test_a_check_that_raises_anything_is_shown_on_ready_and_made_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service, "CHECK_INTERVAL_S", 0.01)
    stopping, health, shown = asyncio.Event(), Health(), list[str | None]()
    outcomes = iter([ZeroDivisionError(), Unavailable("does not answer at 127.0.0.1:1"), None])

    async def check() -> None:
        shown.append(health.parts.get("database"))
        outcome = next(outcomes)
        if outcome:
            raise outcome
        stopping.set()

    await run_turns(run_health_check(health, "database", check), stopping)

    assert shown == [None, "its check failed: ZeroDivisionError", "does not answer at 127.0.0.1:1"]
    assert health.is_ready
