"""Each fault of the matrix in its small size, on the real brokers and services."""

from pathlib import Path

import pytest

from tests.faults.matrix import SCENARIOS
from tests.faults.scenario import Scenario

pytestmark = [pytest.mark.fault, pytest.mark.stack]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_the_invariants_hold(scenario: Scenario, tmp_path: Path):
    if reason := scenario.missing():
        pytest.skip(reason)

    verdict = await scenario.run(tmp_path / "town", False)

    assert verdict.broken == []
