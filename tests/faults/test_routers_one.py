"""The faults that play in the first town of three routers, in their small size, on the real brokers."""

import pytest

from tests.faults.scenario import Play
from tests.faults.staging import MARKS, Stages, hold, plays

pytestmark = MARKS


@pytest.mark.parametrize("scenario", plays("one"), ids=lambda scenario: scenario.name)
async def test_the_invariants_hold(scenario: Play, stages: Stages):
    await hold(scenario, stages)
