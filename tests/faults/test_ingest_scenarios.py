"""Tests the fault scenarios of the ingest services in their small size, on the real brokers and services."""

from pathlib import Path

import pytest

from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.faults.scenario import OwnTownScenario
from tests.faults.small_size import MARKS, check_own_town_scenario, own_town_scenarios

pytestmark = MARKS


@pytest.mark.parametrize("scenario", own_town_scenarios(notifier=False), ids=lambda scenario: scenario.name)
async def test_the_invariants_hold(scenario: OwnTownScenario, tmp_path: Path, towns: TownsOnSharedBrokers):
    await check_own_town_scenario(scenario, tmp_path, towns)
