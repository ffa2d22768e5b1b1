"""A scenario in its small size, held: alone in a town of its own, or in one that it shares with others."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from parvis.local.towns_for_tests import Towns
from tests.faults.matrix import SCENARIOS
from tests.faults.scenario import Place, Play, Scenario
from tests.faults.stage import Stage, stage

MARKS = [pytest.mark.fault, pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]
OF_THE_NOTIFIER = {"F-22", "F-23", "F-24", "F-25", "F-41"}


def alone(*, notifier: bool) -> list[Scenario]:
    """Those with a town of their own. A file each, so that they run beside each other."""
    found = [one for one in SCENARIOS if isinstance(one, Scenario)]
    return [one for one in found if (one.name in OF_THE_NOTIFIER) == notifier]


def plays(name: str) -> list[Play]:
    """Those that share the town of that name."""
    return [one for one in SCENARIOS if isinstance(one, Play) and one.stage == name]


class Stages:
    """The town that scenarios share: built when first asked for, given up when one left it broken, or another town is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = ""
        self._open = AsyncExitStack()
        self._stage: Stage | None = None
        self._built = 0

    async def get(self, name: str) -> Stage:
        if self._stage is None or name != self._name:
            await self.close()
            self._built += 1
            self._name = name
            self._stage = await self._open.enter_async_context(stage(self._folder / str(self._built)))
        return self._stage

    async def close(self) -> None:
        self._stage = None
        await self._open.aclose()


async def hold_alone(scenario: Scenario, folder: Path, towns: Towns) -> None:
    if reason := scenario.missing():
        pytest.skip(reason)

    verdict = await scenario.run(Place(folder / "town", None if scenario.own_brokers else towns), False)

    assert not verdict.broken, "; ".join(verdict.broken)


async def hold(scenario: Play, stages: Stages) -> None:
    if reason := scenario.missing():
        pytest.skip(reason)
    here = await stages.get(scenario.stage)
    is_held = False
    try:
        verdict = await scenario.play(here, False)
        is_held = not verdict.broken
    finally:
        if not is_held:
            await stages.close()

    assert not verdict.broken, "; ".join(verdict.broken)
