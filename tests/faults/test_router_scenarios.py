"""Tests the fault scenarios of the router in their small size, on testbeds of three routers, one testbed after the other."""

import pytest

from tests.faults.scenario import RouterScenario
from tests.faults.small_size import MARKS, SharedTestbed, check_router_scenario, router_scenarios

pytestmark = MARKS


@pytest.mark.parametrize(
    "scenario", [*router_scenarios("one"), *router_scenarios("two")], ids=lambda scenario: scenario.name
)
async def test_the_invariants_hold(scenario: RouterScenario, shared_testbed: SharedTestbed):
    await check_router_scenario(scenario, shared_testbed)
