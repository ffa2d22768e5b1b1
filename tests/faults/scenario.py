"""What every fault scenario is: a stack, a load, an injection, a heal, a verdict; in two sizes."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parvis.local.stack import Stack
from parvis.local.towns_for_tests import Towns
from tests.faults.load import ClientLog
from tests.faults.oracle import Verdict, World, judge, look
from tests.faults.stage import Stage, stage
from tests.patience import PATIENCE_S

HEAL_S = PATIENCE_S


@dataclass(frozen=True)
class Place:
    """Where a scenario is tried: in a folder, and upon brokers that it shares with others; without any it starts its own."""

    folder: Path
    towns: Towns | None = None


@dataclass(frozen=True)
class Scenario:
    """One row of the matrix. `run(place, full)`: the small size takes at most 20 s and is part of `make test`."""

    name: str
    injection: str
    must_hold: str
    run: Callable[[Place, bool], Coroutine[Any, Any, Verdict]]
    missing: Callable[[], str | None] = lambda: None
    """Why it cannot be tried on this machine."""
    own_brokers: bool = False
    """It kills them, or puts their data back: nobody else may be upon them."""


@dataclass(frozen=True)
class Play:
    """A row of the matrix that leaves its town well: in the small size those of one `stage` play in the same, one by one."""

    name: str
    injection: str
    must_hold: str
    play: Callable[[Stage, bool], Coroutine[Any, Any, Verdict]]
    stage: str
    missing: Callable[[], str | None] = lambda: None

    async def run(self, place: Place, full: bool) -> Verdict:
        """In a town of its own."""
        async with stage(place.folder) as own:
            return await self.play(own, full)


@contextmanager
def town(
    place: Place, services: Sequence[str], *, outside: bool = False, **environment: str
) -> Generator[tuple[Stack, ClientLog]]:
    """A town of its own, and the senders' log beside it. A killed member is missed after two seconds, not ten."""
    quick = {"PARVIS_SESSION_TIMEOUT_S": "2", "PARVIS_LOG_FORMAT": "json"}
    start = place.towns.start if place.towns else Stack.start
    place.folder.mkdir(parents=True, exist_ok=True)
    log = ClientLog(place.folder / "client.jsonl")
    try:
        with start(place.folder, services=services, outside=outside, environment=quick | environment) as stack:
            yield stack, log
    finally:
        log.close()


async def healed(stack: Stack, log: ClientLog, verdict: Verdict) -> World:
    """Wait until everything in Kafka is decided (I7); then give the world as it is."""
    began = time.monotonic()
    world = await look(stack)
    while not _settled(world) and time.monotonic() - began < HEAL_S:
        await asyncio.sleep(0.5)
        world = await look(stack)
    verdict.expect(_settled(world), f"I7: not settled {HEAL_S:.0f} s after the fault")
    verdict.figures["heal ms"] = int((time.monotonic() - began) * 1000)
    found = judge(world, log.attempts)
    verdict.broken += found.broken
    verdict.figures |= found.figures
    return world


def _settled(world: World) -> bool:
    ended = {r.event_id for r in world.routed} | {r.event_id for r in world.dead}
    return {r.event_id for r in world.received} <= ended


def sabotaged(stack: Stack, service: str, how: str, **environment: str) -> subprocess.Popen[bytes]:
    """Start a service of this stack with a fault built in: see `sabotage.py`."""
    command = [sys.executable, "-m", "tests.faults.sabotage", service, how]
    with (stack.plan.var / "log" / f"{service}-{how}.log").open("ab") as log:
        return subprocess.Popen(command, env=dict(stack.env) | environment, stdout=log, stderr=subprocess.STDOUT)


async def until_ended(process: subprocess.Popen[bytes], *, seconds: float) -> bool:
    """Whether it ended by itself; else it is killed."""
    ends_at = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < ends_at:
        await asyncio.sleep(0.02)
    if process.poll() is not None:
        return True
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    return False
