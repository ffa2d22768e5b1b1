"""Tests the fault scenarios of outsiders at the doors in their small size, in one town with all its services."""

import pytest

from tests.faults.door_testbed import DoorScenario
from tests.faults.small_size import MARKS, SharedDoors, check_door_scenario, door_scenarios

pytestmark = MARKS


@pytest.mark.parametrize("scenario", door_scenarios(), ids=lambda scenario: scenario.name)
async def test_the_invariants_hold(scenario: DoorScenario, shared_doors: SharedDoors):
    await check_door_scenario(scenario, shared_doors)
