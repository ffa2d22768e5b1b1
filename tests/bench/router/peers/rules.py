"""Implements the twenty rules of route-12 as a team would: one compiled expression per rule, the first match decides."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT = "triage"
_FACTS = Path(__file__).parents[1] / "route12.json"


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    department: str
    channels: frozenset[str]
    languages: frozenset[str]
    pattern: "re.Pattern[str]"


def load() -> tuple[Rule, ...]:
    rows: list[dict[str, Any]] = json.loads(_FACTS.read_text(encoding="utf-8"))["rules"]
    return tuple(
        Rule(
            id=row["id"],
            department=row["department"],
            channels=frozenset(row.get("channels", ())),
            languages=frozenset(row.get("languages", ())),
            pattern=re.compile(row.get("regex") or "|".join(map(re.escape, row["contains"]))),
        )
        for row in rows
    )


RULES = load()


def decide(channel: str, language: str | None, subject: str, text: str) -> tuple[str, str]:
    """The department, and the rule that decided."""
    words = f"{subject}\n{text}".lower()
    for rule in RULES:
        if rule.channels and channel not in rule.channels:
            continue
        if rule.languages and language not in rule.languages:
            continue
        if rule.pattern.search(words):
            return rule.department, rule.id
    return DEFAULT, "default"
