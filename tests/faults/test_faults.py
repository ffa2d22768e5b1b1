"""Each fault of the matrix in its small size, on the real brokers and services."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.matrix import SCENARIOS
from tests.faults.scenario import Play, Scenario
from tests.faults.stage import Stage, stage

pytestmark = [pytest.mark.fault, pytest.mark.stack, pytest.mark.asyncio(loop_scope="module")]

PLAYS = [pytest.param(one, marks=pytest.mark.xdist_group(one.stage)) for one in SCENARIOS if isinstance(one, Play)]


class Stages:
    """Towns that scenarios share: built when first asked for, given up when one of them left it broken."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, tuple[AsyncExitStack, Stage]] = {}
        self._built = 0

    async def get(self, name: str) -> Stage:
        if name not in self._open:
            self._built += 1
            opened = AsyncExitStack()
            self._open[name] = opened, await opened.enter_async_context(stage(self._folder / str(self._built)))
        return self._open[name][1]

    async def give_up(self, name: str) -> None:
        opened, _ = self._open.pop(name)
        await opened.aclose()

    async def close(self) -> None:
        for name in list(self._open):
            await self.give_up(name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stages(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Stages]:
    found = Stages(tmp_path_factory.mktemp("stages"))
    yield found
    await found.close()


@pytest.mark.parametrize(
    "scenario", [one for one in SCENARIOS if isinstance(one, Scenario)], ids=lambda scenario: scenario.name
)
async def test_the_invariants_hold(scenario: Scenario, tmp_path: Path):
    if reason := scenario.missing():
        pytest.skip(reason)

    verdict = await scenario.run(tmp_path / "town", False)

    assert verdict.broken == []


@pytest.mark.parametrize("scenario", PLAYS, ids=lambda scenario: scenario.name)
async def test_the_invariants_hold_in_a_town_of_three_routers(scenario: Play, stages: Stages):
    if reason := scenario.missing():
        pytest.skip(reason)
    here = await stages.get(scenario.stage)
    is_held = False
    try:
        verdict = await scenario.play(here, False)
        is_held = not verdict.broken
    finally:
        if not is_held:
            await stages.give_up(scenario.stage)

    assert verdict.broken == []
