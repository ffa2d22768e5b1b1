"""The faults that play in the second town of three routers, in their small size, on the real brokers."""

import pytest

from tests.faults.scenario import Play
from tests.faults.staging import MARKS, Stages, hold, plays

pytestmark = MARKS


@pytest.mark.parametrize("scenario", plays("two"), ids=lambda scenario: scenario.name)
async def test_the_invariants_hold(scenario: Play, stages: Stages):
    await hold(scenario, stages)
