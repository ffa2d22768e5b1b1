"""Tests that docs/operate/faults.md has one row for each fault scenario, and no other."""

import re

from tests.faults.matrix import SCENARIOS
from tests.house.tree import ROOT

PAGE = ROOT / "docs" / "operate" / "faults.md"


def test_each_fault_scenario_has_its_row_and_each_row_its_scenario():
    rows = re.findall(r"^\| (F-\w+) \|", PAGE.read_text(), re.MULTILINE)

    assert rows == [scenario.name for scenario in SCENARIOS]
