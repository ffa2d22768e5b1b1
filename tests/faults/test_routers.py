"""The faults that play in towns of three routers, in their small size, on the real brokers; one town after the other."""

import pytest

from tests.faults.scenario import Play
from tests.faults.staging import MARKS, Stages, hold, plays

pytestmark = MARKS


@pytest.mark.parametrize("scenario", [*plays("one"), *plays("two")], ids=lambda scenario: scenario.name)
async def test_the_invariants_hold(scenario: Play, stages: Stages):
    await hold(scenario, stages)
