#!/usr/bin/env python3
"""Checks the deployment files, prints one line for each check, and exits with 1 if one found a problem."""

import sys
from collections.abc import Callable, Iterator

from checks import Skipped, alerts, chart, compose, dockerfile

Check = Callable[[], Iterator[str]]
CHECKS: dict[str, Check] = {
    "Dockerfile: hadolint": dockerfile.lint,
    "Dockerfile: each image's part of the lock": dockerfile.shares,
    "compose.yaml: the Compose Specification": compose.shape,
    "compose.yaml: every service, its security options and variables": compose.content,
    "compose.yaml: .env.example": compose.example,
    "chart: values and their schema": chart.schema,
    "chart: helm lint": chart.lint,
    "chart: values that it must refuse": chart.refusals,
    "chart: every object of every scenario": chart.rendered,
    "chart: every service": chart.parts,
    "chart: every public page is forwarded, and nothing else": chart.pages,
    "chart: the example town through its ConfigMap": chart.town,
    "alerts: every rule reads a metric that exists": alerts.rules,
}


def main() -> int:
    failed = 0
    for name, check in CHECKS.items():
        try:
            problems = list(check())
        except Skipped as reason:
            _print_line(f"{name}: skipped: {reason}")
            continue
        failed += bool(problems)
        _print_line(f"{name}: {'ok' if not problems else ''}")
        for problem in problems:
            _print_line(f"  {problem}")
    try:
        for kind in chart.unvalidated():
            _print_line(f"chart: {kind}: rendered, not validated: its schema belongs to another project")
    except Skipped:
        pass
    return 1 if failed else 0


def _print_line(line: str) -> None:
    sys.stdout.write(f"{line.rstrip()}\n")


if __name__ == "__main__":
    sys.exit(main())
