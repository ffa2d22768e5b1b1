"""A text and a few facts in, the rules that match out: every word and pattern of every rule in one linear pass. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

import msgspec
import re2

from parvis.router.rules.phrase_trie import PhraseTrie
from parvis.router.rules.rules_file import Rule
from parvis.router.rules.service_areas import ServiceAreas
from parvis.router.rules.term_patterns import compile_term, fold, normalize_pattern, split_ascii_words

# The set's automaton grows as texts come; when it is full it begins anew, it never gives up (RE2, kManyMatch).
_AUTOMATON_BYTES = 64 * 1024 * 1024
# Conditions that are no words, as a decision names them.
_FACTS = ("channel", "to", "procedure", "language", "machine_sent", "sender_domain", "postcode", "attachment", "area")
_MOST_NAMED = 20
_MANY_PHRASES = 300  # from here on a walk over the text's words is faster than one automaton for all


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What the rules may know about a contact: what they ask for. Two contacts with the same facts are decided alike."""

    channel: str
    to: str
    procedure: str | None
    language: str | None
    machine_sent: bool
    matched_terms: frozenset[int] = frozenset()  # the words and patterns that stand in its text
    day: date = date.min  # on which the contact came, in the town's time
    sender_domain: str = ""
    postcodes: tuple[str, ...] = ()
    attachments: tuple[str, ...] = ()  # media types
    areas: tuple[str, ...] = ()  # where the place may lie; more than one when nobody can say

    def is_from(self, domain: str) -> bool:
        return self.sender_domain == domain or self.sender_domain.endswith(f".{domain}")

    def has_attachment_of_type(self, media_type: str) -> bool:
        """Whether one attachment is of the type; `image/*` is any picture."""
        kind = media_type.removesuffix("*")
        return any(one == media_type or (kind.endswith("/") and one.startswith(kind)) for one in self.attachments)


class RuleMatch(msgspec.Struct, frozen=True, gc=False):
    """A rule that holds, and the conditions that made it hold, in the operator's own words."""

    rule: Rule
    matched: tuple[str, ...]
    terms: int
    is_doubtful: bool = False  # the place may as well lie in an area that the rule does not name


class _Compiled(msgspec.Struct, frozen=True, gc=False):
    rule: Rule
    checks: tuple[Callable[[Facts], bool], ...]  # of what it asks beside words
    stated: tuple[str, ...]
    any_: tuple[int, ...]
    all_: tuple[int, ...]
    none_: tuple[int, ...]
    patterns: tuple[int, ...]


class PatternError(ValueError):
    """A pattern that RE2 does not take."""


@dataclass(frozen=True)
class RuleSet:
    """A rule set, compiled. `version` is the first 12 digits of the file's SHA-256."""

    version: str
    rules: tuple[Rule, ...]
    service_areas: ServiceAreas
    _ranked: tuple[_Compiled, ...] = field(repr=False)
    _labels: tuple[str, ...] = field(repr=False)
    _by_term: tuple[tuple[int, ...], ...] = field(repr=False)
    _always: tuple[int, ...] = field(repr=False)
    _set: "re2.Set | None" = field(repr=False)
    _set_numbers: tuple[int, ...] = field(repr=False)  # of the terms in the set, in its order
    _phrases: PhraseTrie | None = field(default=None, repr=False)
    used_facts: frozenset[str] = frozenset()  # the facts that any rule looks at
    # What was decided before, for whoever decides: facts that come again are not gone through again.
    told: dict[Facts, Any] = field(default_factory=dict[Facts, Any], repr=False, compare=False)

    def match(self, facts: Facts) -> list[RuleMatch]:
        """Every rule that holds, the one that decides first. Never raises, whatever the text."""
        candidates = set(self._always)
        for hit in facts.matched_terms:
            candidates.update(self._by_term[hit])
        return [match for rank in sorted(candidates) if (match := self._match(self._ranked[rank], facts))]

    def find_terms(self, text: str) -> frozenset[int]:
        """The words and patterns of all rules that stand in a clean text, by number."""
        if not text:
            return frozenset()
        numbers = self._set_numbers
        hits = [numbers[hit] for hit in self._set.Match(text) or ()] if self._set else list[int]()
        return frozenset(self._phrases.find_phrases(text).union(hits) if self._phrases else hits)

    def _match(self, compiled: _Compiled, facts: Facts) -> RuleMatch | None:
        hits = facts.matched_terms
        if compiled.checks and not all(check(facts) for check in compiled.checks):
            return None
        any_ = [term for term in compiled.any_ if term in hits]
        patterns = [term for term in compiled.patterns if term in hits]
        if (compiled.any_ and not any_) or (compiled.patterns and not patterns):
            return None
        if not hits.issuperset(compiled.all_) or not hits.isdisjoint(compiled.none_):
            return None
        terms = [*any_, *compiled.all_, *patterns]
        matched = (*compiled.stated, *[self._labels[term] for term in terms])[:_MOST_NAMED]
        area = compiled.rule.when.area
        is_doubtful = bool(area) and not set(facts.areas) <= set(area)
        return RuleMatch(compiled.rule, matched, len(terms), is_doubtful)


def compile_rules(rules: Sequence[Rule], *, version: str, territory: ServiceAreas) -> RuleSet:
    """Compile checked rules.

    Raises: PatternError, when RE2 refuses the set as a whole (too large).
    """
    terms = _TermTable()
    ranked = tuple(terms.compiled(rule) for rule in sorted(rules, key=lambda rule: (not rule.hard, -rule.priority)))
    by_term: list[list[int]] = [[] for _ in terms.labels]
    always: list[int] = []
    for rank, compiled in enumerate(ranked):
        wanted = compiled.any_ or compiled.all_ or compiled.patterns
        for term in wanted:
            by_term[term].append(rank)
        if not wanted:
            always.append(rank)
    phrases = terms.phrases if len(terms.phrases) >= _MANY_PHRASES else {}
    walked = set(phrases.values())
    in_set = {source: number for source, number in terms.numbers.items() if number not in walked}
    return RuleSet(
        version=version,
        rules=tuple(rules),
        service_areas=territory,
        _ranked=ranked,
        _labels=tuple(terms.labels),
        _by_term=tuple(map(tuple, by_term)),
        _always=tuple(always),
        _set=_set_of(list(in_set)),
        _set_numbers=tuple(in_set.values()),
        _phrases=PhraseTrie(phrases) if phrases else None,
        used_facts=frozenset(name for rule in rules for name in _asked(rule)),
    )


def check_pattern(pattern: str) -> None:
    """Raises: PatternError, saying what RE2 does not take in it."""
    try:
        re2.compile(normalize_pattern(pattern), _options())
    except re2.error as error:
        detail = error.args[0] if error.args else "not a pattern"
        raise PatternError(detail.decode() if isinstance(detail, bytes) else str(detail)) from error


def fold_for_matching(text: str) -> str:
    """A text as the patterns see it: folded, and valid UTF-8. A lone surrogate is no letter of any rule."""
    folded = fold(text)
    return folded if folded.isascii() else folded.encode("utf-8", "replace").decode("utf-8")


def join_text(parts: Iterable[str]) -> str:
    """What the words and patterns look at: the parts, each on lines of its own."""
    return "\n".join(filter(None, parts))


class _TermTable:
    """Gives each different pattern a number; rules share what they have in common."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.phrases: dict[str, int] = {}
        self.labels: list[str] = []

    def compiled(self, rule: Rule) -> _Compiled:
        words = rule.when.words
        return _Compiled(
            rule=rule,
            checks=tuple(partial(_CHECKS[name], wanted) for name, wanted in _asked(rule).items()),
            stated=tuple(name for name in _FACTS if name in rule.when.model_fields_set),
            any_=self._words(words.any_ if words else ()),
            all_=self._words(words.all_ if words else ()),
            none_=self._words(words.none_ if words else ()),
            patterns=tuple(self._number(normalize_pattern(text), f"pattern: {text}") for text in rule.when.patterns),
        )

    def _words(self, terms: Iterable[str]) -> tuple[int, ...]:
        return tuple(self._word(term) for term in terms)

    def _word(self, term: str) -> int:
        number = self._number(compile_term(term), f"word: {term}")
        if split_ascii_words(term):
            self.phrases[term] = number
        return number

    def _number(self, source: str, label: str) -> int:
        if source not in self.numbers:
            self.numbers[source] = len(self.labels)
            self.labels.append(label)
        return self.numbers[source]


def _asked(rule: Rule) -> dict[str, Any]:
    """What a rule asks beside words, by the fact that it looks at."""
    when = rule.when
    asked = {
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
    return {name: wanted for name, wanted in asked.items() if wanted}


_CHECKS: dict[str, Callable[[Any, Facts], bool]] = {
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


def _options() -> "re2.Options":
    options = re2.Options()
    options.max_mem = _AUTOMATON_BYTES
    options.log_errors = False
    return options


def _set_of(sources: list[str]) -> "re2.Set | None":
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
