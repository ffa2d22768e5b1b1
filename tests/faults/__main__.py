"""Runs fault scenarios in their full size (`make faults [FAULT=F-01]`), prints a table and writes var/faults/<name>.json."""

import asyncio
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults.door_testbed import DoorScenario
from tests.faults.matrix import SCENARIOS
from tests.faults.oracle import Verdict
from tests.faults.outsider_town import OutsiderScenario
from tests.faults.scenario import OwnTownScenario, RouterScenario, Workspace


def main(names: Sequence[str]) -> int:
    known = {scenario.name: scenario for scenario in SCENARIOS}
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.stderr.write(f"unknown scenario {', '.join(unknown)}; choose from: {', '.join(known)}\n")
        return 2
    verdicts = [_run(known[name]) for name in names or known]
    return 1 if any(verdict.violations for verdict in verdicts) else 0


def _run(scenario: OwnTownScenario | RouterScenario | DoorScenario | OutsiderScenario) -> Verdict:
    print(f"{scenario.name}  {scenario.injection}\n      must hold: {scenario.must_hold}", flush=True)
    if reason := scenario.missing_requirement():
        print(f"      skipped: {reason}\n", flush=True)
        return Verdict()
    folder = Path("var/faults")
    shutil.rmtree(folder / scenario.name, ignore_errors=True)
    began = time.monotonic()
    verdict = asyncio.run(scenario.run(Workspace(folder / scenario.name), True))
    verdict.figures["took ms"] = int((time.monotonic() - began) * 1000)
    (folder / f"{scenario.name}.json").write_text(json.dumps(_rows(scenario, verdict), indent=2))
    for name, value in verdict.figures.items():
        print(f"      {name:<32}{value:>10}")
    for violation in verdict.violations[:20]:
        print(f"      BROKEN: {violation}")
    print(f"      {'held' if not verdict.violations else f'{len(verdict.violations)} invariants broken'}\n", flush=True)
    return verdict


def _rows(
    scenario: OwnTownScenario | RouterScenario | DoorScenario | OutsiderScenario, verdict: Verdict
) -> list[dict[str, Any]]:
    figures = verdict.figures | {"broken invariants": len(verdict.violations)}
    return [
        {
            "scenario": scenario.name, "metric": metric.removesuffix(" ms"), "unit": "ms" if metric.endswith(" ms") else "",
            "median": value, "min": value, "max": value, "runs": 1,
        }
        for metric, value in figures.items()
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
