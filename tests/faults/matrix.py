"""The scenarios there are: each module here that is named after its fault has one."""

from importlib import import_module
from pathlib import Path

from tests.faults.scenario import Play, Scenario

_MODULES = sorted(file.stem for file in Path(__file__).parent.glob("f[0-9][0-9]*_*.py"))

SCENARIOS: tuple[Scenario | Play, ...] = tuple(import_module(f"tests.faults.{name}").SCENARIO for name in _MODULES)
