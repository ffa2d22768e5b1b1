"""Compiles checked rules into a RuleSet. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import re2

from parvis.router.rules.facts import CHECKS, FACT_NAMES, list_conditions
from parvis.router.rules.phrase_trie import PhraseTrie
from parvis.router.rules.rule_set import CompiledRule, RuleSet
from parvis.router.rules.rules_schema import Rule, WordConditions
from parvis.router.rules.term_patterns import compile_term, normalize_pattern, split_ascii_words
from parvis.router.rules.town_areas import TownAreas
from parvis.router.rules.word_proximity import Lexicon, NearTerm, ProximityMatcher, parse_near

# RE2's lazy automaton grows with new texts; at this size RE2 flushes it and goes on (kManyMatch).
_AUTOMATON_BYTES = 64 * 1024 * 1024
_TRIE_FROM_PHRASES = 300  # with more phrases than this the trie is faster than RE2

_ORDINARY = "ordinary"  # in the lexicon: words that are nobody's typing error


class PatternError(ValueError):
    """A pattern that RE2 does not accept."""


def compile_rules(
    rules: Sequence[Rule], *, version: str, service_areas: TownAreas, lexicon: Lexicon | None = None
) -> RuleSet:
    """Compile checked rules.

    Raises: PatternError, when RE2 refuses the set as a whole (too large).
    """
    terms = _TermTable(lexicon or {})
    ranked = tuple(terms.compile_rule(rule) for rule in sorted(rules, key=lambda rule: (not rule.hard, -rule.priority)))
    by_term: list[list[int]] = [[] for _ in terms.labels]
    always: list[int] = []
    for rank, compiled in enumerate(ranked):
        required = compiled.any_ or compiled.all_ or compiled.patterns
        for term in required:
            by_term[term].append(rank)
        if not required:
            always.append(rank)
    phrases = terms.phrases if len(terms.phrases) >= _TRIE_FROM_PHRASES else {}
    in_trie = set(phrases.values())
    in_set = {source: number for source, number in terms.numbers.items() if number not in in_trie}
    return RuleSet(
        version=version,
        rules=tuple(rules),
        service_areas=service_areas,
        _ranked=ranked,
        _labels=tuple(terms.labels),
        _by_term=tuple(map(tuple, by_term)),
        _always=tuple(always),
        _set=_compile_set(list(in_set)),
        _set_numbers=tuple(in_set.values()),
        _phrases=PhraseTrie(phrases) if phrases else None,
        _near=ProximityMatcher(terms.near, terms.lexicon.get(_ORDINARY, ())) if terms.near else None,
        used_facts=frozenset(name for rule in rules for name in list_conditions(rule)),
    )


def check_pattern(pattern: str) -> None:
    """Raises: PatternError, with what RE2 does not accept in it."""
    try:
        re2.compile(normalize_pattern(pattern), _options())
    except re2.error as error:
        detail = error.args[0] if error.args else "not a pattern"
        raise PatternError(detail.decode() if isinstance(detail, bytes) else str(detail)) from error


class _TermTable:
    """Numbers the distinct words and patterns of all rules."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.numbers: dict[str, int] = {}
        self.phrases: dict[str, int] = {}
        self.labels: list[str] = []
        self.near: list[tuple[int, NearTerm]] = []

    def compile_rule(self, rule: Rule) -> CompiledRule:
        words = rule.when.words
        return CompiledRule(
            rule=rule,
            checks=tuple(partial(CHECKS[name], wanted) for name, wanted in list_conditions(rule).items()),
            stated=tuple(name for name in FACT_NAMES if name in rule.when.model_fields_set),
            any_=(*self._number_words(words.any_ if words else ()), *self._number_near(words)),
            all_=self._number_words(words.all_ if words else ()),
            none_=self._number_words(words.none_ if words else ()),
            patterns=tuple(self._number(normalize_pattern(text), f"pattern: {text}") for text in rule.when.patterns),
        )

    def _number_words(self, terms: Iterable[str]) -> tuple[int, ...]:
        return tuple(self._number_word(term) for term in terms)

    def _number_near(self, words: WordConditions | None) -> Iterator[int]:
        for source in words.near if words else ():
            self.near.append((len(self.labels), parse_near(source, words.unless if words else (), self.lexicon)))
            self.labels.append(f"near: {source}")
            yield self.near[-1][0]

    def _number_word(self, term: str) -> int:
        number = self._number(compile_term(term), f"word: {term}")
        if split_ascii_words(term):
            self.phrases[term] = number
        return number

    def _number(self, source: str, label: str) -> int:
        if source not in self.numbers:
            self.numbers[source] = len(self.labels)
            self.labels.append(label)
        return self.numbers[source]


def _options() -> "re2.Options":
    options = re2.Options()
    options.max_mem = _AUTOMATON_BYTES
    options.log_errors = False
    return options


def _compile_set(sources: list[str]) -> "re2.Set | None":
    if not sources:
        return None
    compiled = re2.Set.SearchSet(_options())
    try:
        for source in sources:
            compiled.Add(source)
        compiled.Compile()
    except re2.error as error:
        raise PatternError("the patterns together are too large") from error
    return compiled
