"""Compares two rule sets on past contacts, and explains one decision to an operator. Pure; no I/O."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from parvis.common.contract.contact import ContactReceived
from parvis.common.town.models import TownConfig
from parvis.router.decide.department import Decision, decide_department
from parvis.router.rules.rule_set import RuleSet

_MOST_EXAMPLES = 20


@dataclass
class RuleComparison:
    """The effect of a changed rule set. `moved` counts contacts by (current department, new department)."""

    contacts: int = 0
    moved: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    rules_now: Counter[str] = field(default_factory=Counter[str])
    rules_then: Counter[str] = field(default_factory=Counter[str])
    tags_now: Counter[str] = field(default_factory=Counter[str])
    tags_then: Counter[str] = field(default_factory=Counter[str])
    examples: list[tuple[str, Decision, Decision]] = field(default_factory=list[tuple[str, Decision, Decision]])

    def lines(self) -> Iterator[str]:
        """The report; it contains no text of citizens."""
        moved = self.moved.total()
        yield f"{self.contacts} contacts, {moved} would go elsewhere ({moved / max(1, self.contacts):.1%})"
        for (now, then), count in self.moved.most_common():
            yield f"{count:>7}  {now} -> {then}"
        for rule in sorted(self.rules_now.keys() | self.rules_then.keys()):
            now, then = self.rules_now[rule], self.rules_then[rule]
            if now != then:
                yield f"         rule {rule}: decided {now}, would decide {then}"
        for tag in sorted(self.tags_now.keys() | self.tags_then.keys()):
            now, then = self.tags_now[tag], self.tags_then[tag]
            if now != then:
                yield f"         tag {tag}: stands on {now}, would stand on {then}"
        for reference, now_, then_ in self.examples:
            yield f"         {reference}: {now_.department} ({now_.rule}) -> {then_.department} ({then_.rule})"


def compare_rules(
    contacts: Iterable[ContactReceived], now: RuleSet, then: RuleSet, town_config: TownConfig
) -> RuleComparison:
    """Decide each contact by both rule sets. Conversations are ignored: only rules are compared."""
    trial = RuleComparison()
    for contact in contacts:
        before, after = decide_department(contact, now, town_config), decide_department(contact, then, town_config)
        trial.contacts += 1
        trial.rules_now[before.rule] += 1
        trial.rules_then[after.rule] += 1
        trial.tags_now.update(before.tags)
        trial.tags_then.update(after.tags)
        if before.department != after.department:
            trial.moved[before.department, after.department] += 1
            if len(trial.examples) < _MOST_EXAMPLES:
                trial.examples.append((contact.reference, before, after))
    return trial


def explain_decision(decision: Decision, language: str) -> Iterator[str]:
    """Format one decision for an operator."""
    yield f"department  {decision.department}"
    yield f"rule        {decision.rule} (rules {decision.rules_version}), confidence {decision.confidence:.2f}"
    if decision.matched:
        yield f"matched     {', '.join(decision.matched)}"
    for other in decision.runners_up:
        yield f"runner-up   {other.department} by {other.rule}, confidence {other.confidence:.2f}"
    if decision.procedure:
        yield f"procedure   {decision.procedure}"
    if decision.tags:
        yield f"tags        {', '.join(decision.tags)}"
    if decision.urgency != "normal":
        yield f"urgency     {decision.urgency}"
    yield f"reason      {decision.reason.get(language) or next(iter(decision.reason.values()))}"
