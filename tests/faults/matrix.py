"""Collects the scenario of every module in this folder whose name begins with a fault id."""

from importlib import import_module
from pathlib import Path

from tests.faults.door_testbed import DoorScenario
from tests.faults.outsider_town import OutsiderScenario
from tests.faults.scenario import OwnTownScenario, RouterScenario

_MODULES = sorted(file.stem for file in Path(__file__).parent.glob("f[0-9][0-9]*_*.py"))

SCENARIOS: tuple[OwnTownScenario | RouterScenario | DoorScenario | OutsiderScenario, ...] = tuple(
    import_module(f"tests.faults.{name}").SCENARIO for name in _MODULES
)
