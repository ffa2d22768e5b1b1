"""The faults of doors in their small size, on the real brokers and services."""

from pathlib import Path

import pytest

from parvis.local.towns_for_tests import Towns
from tests.faults.scenario import Scenario
from tests.faults.staging import MARKS, alone, hold_alone

pytestmark = MARKS


@pytest.mark.parametrize("scenario", alone(notifier=False), ids=lambda scenario: scenario.name)
async def test_the_invariants_hold(scenario: Scenario, tmp_path: Path, towns: Towns):
    await hold_alone(scenario, tmp_path, towns)
