"""Matches facts and text against a compiled rule set, with every word and pattern in one linear pass. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import re2

from parvis.router.rules.facts import Facts, RuleResultCache
from parvis.router.rules.phrase_trie import PhraseTrie
from parvis.router.rules.rules_schema import Rule
from parvis.router.rules.town_areas import TownAreas
from parvis.router.rules.word_proximity import ProximityMatcher

_MAX_NAMED_CONDITIONS = 20


class RuleMatch(msgspec.Struct, frozen=True, gc=False):
    """A rule that matches, and the conditions that made it match, in the operator's own words."""

    rule: Rule
    matched: tuple[str, ...]
    terms: int
    is_doubtful: bool = False  # whether the place may also lie in an area that the rule does not name


class CompiledRule(msgspec.Struct, frozen=True, gc=False):
    """A rule with its terms as numbers; `checks` are its conditions other than words and patterns."""

    rule: Rule
    checks: tuple[Callable[[Facts], bool], ...]
    stated: tuple[str, ...]
    any_: tuple[int, ...]
    all_: tuple[int, ...]
    none_: tuple[int, ...]
    patterns: tuple[int, ...]


@dataclass(frozen=True)
class RuleSet:
    """A compiled rule set. `version` is the first 12 hexadecimal digits of the files' SHA-256."""

    version: str
    rules: tuple[Rule, ...]
    service_areas: TownAreas
    _ranked: tuple[CompiledRule, ...] = field(repr=False)
    _labels: tuple[str, ...] = field(repr=False)
    _by_term: tuple[tuple[int, ...], ...] = field(repr=False)
    _always: tuple[int, ...] = field(repr=False)  # ranks of rules without words and patterns
    _set: "re2.Set | None" = field(repr=False)
    _set_numbers: tuple[int, ...] = field(repr=False)  # term numbers, in the order of `_set`
    _phrases: PhraseTrie | None = field(default=None, repr=False)
    _near: ProximityMatcher | None = field(default=None, repr=False)
    used_facts: frozenset[str] = frozenset()  # names of the facts that at least one rule asks for
    decision_cache: RuleResultCache = field(default_factory=RuleResultCache, repr=False, compare=False)

    @property
    def danger_department(self) -> str | None:
        """The department that the first hard rule for immediate dangers names."""
        rules = (compiled.rule for compiled in self._ranked)
        return next((rule.then.department for rule in rules if rule.hard and rule.then.urgency == "immediate"), None)

    def match(self, facts: Facts) -> list[RuleMatch]:
        """All matching rules, the deciding one first. Never raises, whatever the text."""
        candidates = set(self._always)
        for term in facts.matched_terms | facts.beside_terms:
            candidates.update(self._by_term[term])
        return [match for rank in sorted(candidates) if (match := self._match_any(self._ranked[rank], facts))]

    def find_terms(self, text: str, *, with_errors: bool = True) -> frozenset[int]:
        """The numbers of all rules' words and patterns that occur in a text from `fold_for_matching`; `near` allows errors."""
        if not text:
            return frozenset()
        numbers = self._set_numbers
        terms = [numbers[hit] for hit in self._set.Match(text) or ()] if self._set else list[int]()
        phrases = self._phrases.find_phrases(text) if self._phrases else ()
        return frozenset((*terms, *phrases, *(self._near.find_terms(text) if self._near and with_errors else ())))

    def _match_any(self, compiled: CompiledRule, facts: Facts) -> RuleMatch | None:
        """Match the text; a hard rule else also what the sender wrote beside it."""
        match = self._match(compiled, facts, facts.matched_terms)
        if match or not (compiled.rule.hard and facts.beside_terms):
            return match
        return self._match(compiled, facts, facts.beside_terms)

    def _match(self, compiled: CompiledRule, facts: Facts, matched: frozenset[int]) -> RuleMatch | None:
        if compiled.checks and not all(check(facts) for check in compiled.checks):
            return None
        any_ = [term for term in compiled.any_ if term in matched]
        patterns = [term for term in compiled.patterns if term in matched]
        if (compiled.any_ and not any_) or (compiled.patterns and not patterns):
            return None
        if not matched.issuperset(compiled.all_) or not matched.isdisjoint(compiled.none_):
            return None
        terms = [*any_, *compiled.all_, *patterns]
        named = (*compiled.stated, *[self._labels[term] for term in terms])[:_MAX_NAMED_CONDITIONS]
        areas = compiled.rule.when.area
        is_doubtful = bool(areas) and not set(facts.areas) <= set(areas)
        return RuleMatch(compiled.rule, named, len(terms), is_doubtful)
