"""Checks that the alerting rules are well formed, and that each reads a metric that the services export."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_ROOT = Path(__file__).resolve().parents[2]
_RULES = _ROOT / "deploy/prometheus/alerts.yaml"
_METRICS = _ROOT / "libs/common/src/parvis/common/runtime/metrics.py"


def rules() -> Iterator[str]:
    exported = _exported()
    for group in yaml.safe_load(_RULES.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            yield from (f"{rule.get('alert', 'a rule')}: {problem}" for problem in _problems(rule, exported))


def _exported() -> set[str]:
    source = _METRICS.read_text(encoding="utf-8")
    declared = re.findall(r"(Counter|Gauge)\(\s*\"(\w+)\"", source)
    return {f"{name}_total" if kind == "Counter" else name for kind, name in declared}


def _problems(rule: dict[str, Any], exported: set[str]) -> Iterator[str]:
    if missing := {"alert", "expr", "labels", "annotations"} - rule.keys():
        yield f"lacks {', '.join(sorted(missing))}"
        return
    names = set(re.findall(r"parvis_\w+", rule["expr"]))
    if not names:
        yield "reads no metric of Parvis"
    yield from (f"no service exports {name}" for name in sorted(names - exported))
    for page in re.findall(r"docs/\S+\.md", rule["annotations"].get("description", "")):
        if not (_ROOT / page).is_file():
            yield f"no page {page}"
