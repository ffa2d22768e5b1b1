#!/usr/bin/env python3
"""The deployment files in; out, a line a check, and exit 1 when one of them found something."""

import sys
from collections.abc import Callable, Iterator

from checks import Skipped, chart, compose, dockerfile

Check = Callable[[], Iterator[str]]
CHECKS: dict[str, Check] = {
    "Dockerfile: hadolint": dockerfile.lint,
    "Dockerfile: each image's share of the lock": dockerfile.shares,
    "compose.yaml: the Compose Specification": compose.shape,
    "compose.yaml: every service, locked down, rightly set": compose.content,
    "compose.yaml: .env.example": compose.example,
    "chart: values and their schema": chart.schema,
    "chart: helm lint": chart.lint,
    "chart: what it must refuse": chart.refusals,
    "chart: every object of every scenario": chart.rendered,
    "chart: every service": chart.parts,
    "chart: every page of a public door, and no other": chart.pages,
    "chart: the example town through its ConfigMap": chart.town,
}


def main() -> int:
    failed = 0
    for name, check in CHECKS.items():
        try:
            found = list(check())
        except Skipped as reason:
            _say(f"{name}: skipped: {reason}")
            continue
        failed += bool(found)
        _say(f"{name}: {'fine' if not found else ''}")
        for problem in found:
            _say(f"  {problem}")
    try:
        for kind in chart.unvalidated():
            _say(f"chart: {kind}: rendered, its shape not checked: its schema belongs to another project")
    except Skipped:
        pass
    return 1 if failed else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line.rstrip()}\n")


if __name__ == "__main__":
    sys.exit(main())
