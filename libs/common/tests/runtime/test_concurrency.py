"""Facts about waiting for the first of several things."""

import asyncio

import pytest

from parvis.common.runtime.backoff import Backoff
from parvis.common.runtime.interruptible_waits import first_completed, sleep_unless_stopped


async def test_the_others_are_cancelled_when_one_has_ended():
    never = asyncio.Event()
    cancelled = False

    async def slow() -> None:
        nonlocal cancelled
        try:
            await never.wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    await first_completed(asyncio.sleep(0), slow())

    assert cancelled


async def test_an_error_of_the_first_is_raised():
    async def failing() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await first_completed(failing(), asyncio.Event().wait())


async def test_a_timeout_ends_the_wait():
    await first_completed(asyncio.Event().wait(), timeout_s=0.01)


async def test_a_sleep_says_whether_the_service_was_stopped():
    stopping = asyncio.Event()

    assert not await sleep_unless_stopped(stopping, 0)
    stopping.set()
    assert await sleep_unless_stopped(stopping, 60)


def test_backoff_doubles_up_to_its_ceiling_and_begins_again_after_a_success():
    backoff = Backoff(first_s=1, longest_s=5)

    assert [backoff.next_wait_s() for _ in range(4)] == [1, 2, 4, 5]
    backoff.reset()
    assert backoff.next_wait_s() == 1
