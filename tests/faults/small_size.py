"""Checks fault scenarios in their small size: in a town of their own, on the shared router testbed or in the shared town of the doors."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.faults.door_testbed import DoorScenario, DoorTestbed, start_door_testbed
from tests.faults.matrix import SCENARIOS
from tests.faults.oracle import Verdict
from tests.faults.router_testbed import RouterTestbed, start_router_testbed
from tests.faults.scenario import OwnTownScenario, RouterScenario, Workspace

MARKS = [pytest.mark.fault, pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]
NOTIFIER_SCENARIOS = {"F-22", "F-23", "F-24", "F-25", "F-41", "F-61", "F-62", "F-63"}


def own_town_scenarios(*, notifier: bool) -> list[OwnTownScenario]:
    """The scenarios that start a town of their own. Two test files hold them, so that they run in parallel."""
    own_town = [scenario for scenario in SCENARIOS if isinstance(scenario, OwnTownScenario)]
    return [scenario for scenario in own_town if (scenario.name in NOTIFIER_SCENARIOS) == notifier]


def router_scenarios(name: str) -> list[RouterScenario]:
    """The scenarios that share the testbed of this name."""
    return [scenario for scenario in SCENARIOS if isinstance(scenario, RouterScenario) and scenario.testbed == name]


def door_scenarios() -> list[DoorScenario]:
    """The scenarios that share a town with all its doors."""
    return [scenario for scenario in SCENARIOS if isinstance(scenario, DoorScenario)]


class SharedTestbed:
    """The router testbed that scenarios share: started on first use, replaced after a failure or when another name is requested."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = ""
        self._open = AsyncExitStack()
        self._testbed: RouterTestbed | None = None
        self._built = 0

    async def get(self, name: str) -> RouterTestbed:
        if self._testbed is None or name != self._name:
            await self.close()
            self._built += 1
            self._name = name
            self._testbed = await self._open.enter_async_context(start_router_testbed(self._folder / str(self._built)))
        return self._testbed

    async def close(self) -> None:
        self._testbed = None
        await self._open.aclose()


async def check_own_town_scenario(scenario: OwnTownScenario, folder: Path, towns: TownsOnSharedBrokers) -> None:
    if reason := scenario.missing_requirement():
        pytest.skip(reason)

    verdict = await scenario.run(Workspace(folder / "town", None if scenario.needs_own_brokers else towns), False)

    assert not verdict.violations, "; ".join(verdict.violations)


async def check_router_scenario(scenario: RouterScenario, shared_testbed: SharedTestbed) -> None:
    if reason := scenario.missing_requirement():
        pytest.skip(reason)
    testbed = await shared_testbed.get(scenario.testbed)
    await _check_shared(lambda: scenario.run_on(testbed, False), shared_testbed.close)


class SharedDoors:
    """The town with all its doors that scenarios share: started on first use, replaced after a failure."""

    def __init__(self, folder: Path, towns: TownsOnSharedBrokers) -> None:
        self._folder = folder
        self._towns = towns
        self._open = AsyncExitStack()
        self._testbed: DoorTestbed | None = None
        self._built = 0

    async def get(self) -> DoorTestbed:
        if self._testbed is None:
            self._built += 1
            workspace = Workspace(self._folder / str(self._built), self._towns)
            self._testbed = await self._open.enter_async_context(start_door_testbed(workspace, full=False))
        return self._testbed

    async def close(self) -> None:
        self._testbed = None
        await self._open.aclose()


async def check_door_scenario(scenario: DoorScenario, shared_doors: SharedDoors) -> None:
    if reason := scenario.missing_requirement():
        pytest.skip(reason)
    testbed = await shared_doors.get()
    await _check_shared(lambda: scenario.run_on(testbed, False), shared_doors.close)


async def _check_shared(run: Callable[[], Awaitable[Verdict]], close: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario on what others use after it, unless it fails: then `close` gives the next one a new one."""
    has_held = False
    try:
        verdict = await run()
        has_held = not verdict.violations
    finally:
        if not has_held:
            await close()

    assert not verdict.violations, "; ".join(verdict.violations)
