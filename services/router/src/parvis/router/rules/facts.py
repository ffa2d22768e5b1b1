"""Defines the facts about a contact that rules may use, and checks conditions against them. Pure."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import msgspec

from parvis.router.rules.rules_schema import Rule

# Conditions other than words and patterns, by the names under which a decision lists them.
FACT_NAMES = (
    "channel",
    "to",
    "procedure",
    "language",
    "machine_sent",
    "sender_domain",
    "postcode",
    "attachment",
    "area",
)


class Facts(msgspec.Struct, frozen=True, gc=False):
    """All facts that rules may use. Contacts with equal facts get equal decisions."""

    channel: str
    to: str
    procedure: str | None
    language: str | None
    machine_sent: bool
    matched_terms: frozenset[int] = (
        frozenset()
    )  # numbers of the rules' terms (words and patterns) that occur in the text
    beside_terms: frozenset[int] = (
        frozenset()
    )  # those in signature and quotes of the sender: only hard rules read these
    day: date = date.min  # of receipt, in the town's time zone
    sender_domain: str = ""
    postcodes: tuple[str, ...] = ()
    attachments: tuple[str, ...] = ()  # media types
    areas: tuple[str, ...] = ()  # more than one if the text is ambiguous

    def is_from(self, domain: str) -> bool:
        return self.sender_domain == domain or self.sender_domain.endswith(f".{domain}")

    def has_attachment_of_type(self, media_type: str) -> bool:
        """Whether an attachment has this media type; `image/*` stands for any picture."""
        prefix = media_type.removesuffix("*")
        return any(
            each == media_type or (prefix.endswith("/") and each.startswith(prefix)) for each in self.attachments
        )


class RuleResultCache:
    """Caches results by facts, for one rule set; cleared when it is full.

    The only mutable part of a RuleSet. A cached result equals a computed one, so the cache never changes a decision.
    """

    def __init__(self, capacity: int = 4096) -> None:
        self._capacity = capacity
        self._values: dict[Facts, Any] = {}

    def get_or_compute(self, facts: Facts, compute: Callable[[Facts], Any]) -> Any:
        value = self._values.get(facts)
        if value is None:
            if len(self._values) >= self._capacity:
                self._values.clear()
            value = self._values[facts] = compute(facts)
        return value


def join_text(parts: Iterable[str]) -> str:
    """The text that words and patterns are matched against: each part on lines of its own."""
    return "\n".join(filter(None, parts))


def list_conditions(rule: Rule) -> dict[str, Any]:
    """The conditions of a rule other than words and patterns, by the fact that they use."""
    when = rule.when
    conditions = {
        "day": rule.until,
        "channel": when.channel,
        "to": {to.lower() for to in when.to},
        "procedure": when.procedure,
        "language": when.language,
        "machine_sent": (when.machine_sent,) if when.machine_sent is not None else (),
        "sender_domain": when.sender_domain,
        "postcode": when.postcode,
        "attachment": when.attachment,
        "area": when.area,
    }
    return {name: wanted for name, wanted in conditions.items() if wanted}


CHECKS: dict[str, Callable[[Any, Facts], bool]] = {
    "day": lambda until, facts: facts.day <= until,
    "channel": lambda wanted, facts: facts.channel in wanted,
    "to": lambda wanted, facts: facts.to.lower() in wanted,
    "procedure": lambda wanted, facts: facts.procedure in wanted,
    "language": lambda wanted, facts: facts.language in wanted,
    "machine_sent": lambda wanted, facts: facts.machine_sent in wanted,
    "sender_domain": lambda wanted, facts: any(map(facts.is_from, wanted)),
    "postcode": lambda wanted, facts: any(code.startswith(wanted) for code in facts.postcodes),
    "attachment": lambda wanted, facts: any(map(facts.has_attachment_of_type, wanted)),
    "area": lambda wanted, facts: not set(wanted).isdisjoint(facts.areas),
}
