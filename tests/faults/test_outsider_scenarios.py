"""Tests the fault scenarios of what outsiders try in their small size, in one town."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.faults.matrix import SCENARIOS
from tests.faults.outsider_town import OutsiderScenario, OutsiderTown, start_outsider_town
from tests.faults.scenario import Workspace
from tests.faults.small_size import MARKS

pytestmark = MARKS
OUTSIDER_SCENARIOS = [scenario for scenario in SCENARIOS if isinstance(scenario, OutsiderScenario)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def outsider_town(
    tmp_path_factory: pytest.TempPathFactory, towns: TownsOnSharedBrokers
) -> AsyncGenerator[OutsiderTown]:
    async with start_outsider_town(Workspace(tmp_path_factory.mktemp("town"), towns)) as town:
        yield town


@pytest.mark.parametrize("scenario", OUTSIDER_SCENARIOS, ids=lambda scenario: scenario.name)
async def test_outsiders_cannot(scenario: OutsiderScenario, outsider_town: OutsiderTown):
    verdict = await scenario.run_in(outsider_town, False)

    assert not verdict.violations, "; ".join(verdict.violations)
