"""Defines fault scenarios: a town under load, an injected fault, recovery and a verdict, in two sizes."""

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
from uuid import uuid4

from parvis.local.stack import Stack
from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.faults.oracle import SystemState, Verdict, check_invariants, read_state
from tests.faults.router_testbed import RouterTestbed, start_router_testbed
from tests.faults.sms_load import ClientLog
from tests.patience import PATIENCE_S

HEAL_S = PATIENCE_S
FAULTY_SERVICE = (sys.executable, "-m", "tests.faults.injected_faults")


@dataclass(frozen=True)
class Workspace:
    """The folder and the shared brokers of a scenario's run. Without `towns` the scenario starts brokers of its own.

    has_own_database: only Kafka is shared, so that the scenario may freeze PostgreSQL.
    """

    folder: Path
    towns: TownsOnSharedBrokers | None = None
    has_own_database: bool = False


@dataclass(frozen=True)
class OwnTownScenario:
    """A row of the matrix that runs in a town of its own. `run(workspace, full)`: the small size is part of `make test`."""

    name: str
    injection: str
    must_hold: str
    run: Callable[[Workspace, bool], Coroutine[Any, Any, Verdict]]
    missing_requirement: Callable[[], str | None] = lambda: None
    """The reason why this machine cannot run it; None if it can."""
    needs_own_brokers: bool = False
    """It kills brokers or restores their data, so that no other test may use them."""


@dataclass(frozen=True)
class RouterScenario:
    """A row of the matrix that runs on three routers. In the small size, rows with the same `testbed` share one, in turn."""

    name: str
    injection: str
    must_hold: str
    run_on: Callable[[RouterTestbed, bool], Coroutine[Any, Any, Verdict]]
    testbed: str
    missing_requirement: Callable[[], str | None] = lambda: None

    async def run(self, workspace: Workspace, full: bool) -> Verdict:
        """Run on a testbed of its own."""
        async with start_router_testbed(workspace.folder) as testbed:
            return await self.run_on(testbed, full)


@contextmanager
def start_town(
    workspace: Workspace, services: Sequence[str], *, outside: bool = False, **environment: str
) -> Generator[tuple[Stack, ClientLog]]:
    """Start a town and its senders' log. The session time-out is 2 s instead of 10 s, so that a killed consumer is noticed sooner."""
    quick = {"PARVIS_SESSION_TIMEOUT_S": "2", "PARVIS_LOG_FORMAT": "json"}
    start = workspace.towns.start if workspace.towns and not workspace.has_own_database else Stack.start
    if workspace.towns and workspace.has_own_database:
        quick |= {"PARVIS_KAFKA_BOOTSTRAP": workspace.towns.kafka, "PARVIS_TOPIC_PREFIX": f"own-{uuid4().hex[:8]}"}
    workspace.folder.mkdir(parents=True, exist_ok=True)
    log = ClientLog(workspace.folder / "client.jsonl")
    try:
        with start(workspace.folder, services=services, outside=outside, environment=quick | environment) as stack:
            yield stack, log
    finally:
        log.close()


async def settle_and_check(stack: Stack, log: ClientLog, verdict: Verdict) -> SystemState:
    """Wait until every contact in Kafka is decided (I7), then check the invariants. Gives the state that was checked."""
    began = time.monotonic()
    state = await read_state(stack)
    while not _is_settled(state) and time.monotonic() - began < HEAL_S:
        await asyncio.sleep(0.5)
        state = await read_state(stack)
    verdict.expect(_is_settled(state), f"I7: contacts are still undecided {HEAL_S:.0f} s after the fault")
    verdict.figures["heal ms"] = int((time.monotonic() - began) * 1000)
    invariants = check_invariants(state, log.attempts)
    verdict.violations += invariants.violations
    verdict.figures |= invariants.figures
    return state


def _is_settled(state: SystemState) -> bool:
    ended = {r.event_id for r in state.routed} | {r.event_id for r in state.dead_letters}
    return {r.event_id for r in state.received} <= ended


def start_with_fault(stack: Stack, service: str, fault: str, **environment: str) -> subprocess.Popen[bytes]:
    """Start a service of this stack with an injected fault: see `injected_faults.py`."""
    command = [*FAULTY_SERVICE, service, fault]
    with (stack.plan.var / "log" / f"{service}-{fault}.log").open("ab") as log:
        return subprocess.Popen(command, env=dict(stack.env) | environment, stdout=log, stderr=subprocess.STDOUT)


async def wait_for_exit(process: subprocess.Popen[bytes], *, seconds: float) -> bool:
    """Wait until the process exits. False if it had to be killed."""
    ends_at = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < ends_at:
        await asyncio.sleep(0.02)
    if process.poll() is not None:
        return True
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    return False
