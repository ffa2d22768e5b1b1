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
async def start_attacker(*attacks: Callable[..., Any]) -> AsyncGenerator[AttackerProcess]:
    """Start a process, and wait until it has imported these attacks: that takes seconds, of the citizens' time too."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        attacker = AttackerProcess(pool)
        await attacker.run(_import, *attacks)
        yield attacker


def _run_attack(
    attack: Callable[Arguments, Coroutine[Any, Any, Outcome]], *args: Arguments.args, **named: Arguments.kwargs
) -> Outcome:
    return asyncio.run(attack(*args, **named))


async def _import(*attacks: Callable[..., Any]) -> None:
    """Show that the process runs, and has imported what came with the call."""
    del attacks
