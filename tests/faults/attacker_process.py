"""Runs an attack in a process of its own, so that citizens beside it wait for the town and not for the attacker's event loop."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from multiprocessing import get_context
from typing import Any, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Outcome = TypeVar("Outcome")


class AttackerProcess:
    """A process that runs attacks: module-level coroutine functions whose arguments and outcomes can be pickled."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    async def run(
        self,
        attack: Callable[Arguments, Coroutine[Any, Any, Outcome]],
        *args: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Outcome:
        """Run one attack. Gives its outcome."""
        return await asyncio.wrap_future(self._pool.submit(_run_attack, attack, *args, **named))


@asynccontextmanager
async def start_attacker() -> AsyncGenerator[AttackerProcess]:
    """Start a process for attacks, and wait until it is up: to start it costs the machine a second of the citizens' time."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        attacker = AttackerProcess(pool)
        await attacker.run(_do_nothing)
        yield attacker


def _run_attack(
    attack: Callable[Arguments, Coroutine[Any, Any, Outcome]], *args: Arguments.args, **named: Arguments.kwargs
) -> Outcome:
    return asyncio.run(attack(*args, **named))


async def _do_nothing() -> None:
    """Show that the process runs."""
