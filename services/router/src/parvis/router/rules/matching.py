"""A text and a few facts in, the rules that match out: every word and pattern of every rule in one linear pass. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

import re2

from parvis.router.rules.models import Rule
from parvis.router.rules.territory import Territory
from parvis.router.rules.words import fold, pattern_source, word_source

# The set's automaton grows as texts come; when it is full it begins anew, it never gives up (RE2, kManyMatch).
_AUTOMATON_BYTES = 64 * 1024 * 1024
# Conditions that are no words, as a decision names them.
_FACTS = ("channel", "to", "procedure", "language", "machine_sent", "sender_domain", "postcode", "attachment", "area")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules may know about a contact."""

    channel: str
    to: str
    procedure: str | None
    language: str | None
    machine_sent: bool
    text: str
    day: date = date.min  # on which the contact came, in the town's time
    sender_domain: str = ""
    postcodes: tuple[str, ...] = ()
    attachments: tuple[str, ...] = ()  # media types
    areas: tuple[str, ...] = ()  # where the place may lie; more than one when nobody can say

    def is_from(self, domain: str) -> bool:
        return self.sender_domain == domain or self.sender_domain.endswith(f".{domain}")

    def holds(self, media_type: str) -> bool:
        """Whether one attachment is of the type; `image/*` is any picture."""
        kind = media_type.removesuffix("*")
        return any(one == media_type or (kind.endswith("/") and one.startswith(kind)) for one in self.attachments)


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that holds, and the conditions that made it hold, in the operator's own words."""

    rule: Rule
    matched: tuple[str, ...]
    terms: int
    is_doubtful: bool = False  # the place may as well lie in an area that the rule does not name


@dataclass(frozen=True, slots=True)
class _Compiled:
    rule: Rule
    any_: tuple[int, ...]
    all_: tuple[int, ...]
    none_: tuple[int, ...]
    patterns: tuple[int, ...]


class PatternError(ValueError):
    """A pattern that RE2 does not take."""


@dataclass(frozen=True)
class Rules:
    """A rule set, compiled. `version` is the first 12 digits of the file's SHA-256."""

    version: str
    rules: tuple[Rule, ...]
    territory: Territory
    _ranked: tuple[_Compiled, ...] = field(repr=False)
    _labels: tuple[str, ...] = field(repr=False)
    _by_term: tuple[tuple[int, ...], ...] = field(repr=False)
    _always: tuple[int, ...] = field(repr=False)
    _set: "re2.Set | None" = field(repr=False)

    def matching(self, facts: Facts) -> list[Match]:
        """Every rule that holds, the one that decides first. Never raises, whatever the text."""
        hits = self._hits(facts.text)
        candidates = set(self._always)
        for hit in hits:
            candidates.update(self._by_term[hit])
        found = (self._match(self._ranked[rank], facts, hits) for rank in sorted(candidates))
        return [match for match in found if match]

    def _hits(self, text: str) -> frozenset[int]:
        if self._set is None or not text:
            return frozenset()
        # A lone surrogate or a NUL is no letter of any rule; RE2 wants valid UTF-8.
        clean = fold(text).encode("utf-8", "replace").decode("utf-8")
        return frozenset(self._set.Match(clean) or ())

    def _match(self, compiled: _Compiled, facts: Facts, hits: frozenset[int]) -> Match | None:
        when = compiled.rule.when
        if not _facts_hold(compiled.rule, facts):
            return None
        any_ = [term for term in compiled.any_ if term in hits]
        patterns = [term for term in compiled.patterns if term in hits]
        if (compiled.any_ and not any_) or (compiled.patterns and not patterns):
            return None
        if not hits.issuperset(compiled.all_) or not hits.isdisjoint(compiled.none_):
            return None
        terms = [*any_, *compiled.all_, *patterns]
        stated = [name for name in _FACTS if name in when.model_fields_set]
        matched = tuple([*stated, *(self._labels[term] for term in terms)][:20])
        is_doubtful = bool(when.area) and not set(facts.areas) <= set(when.area)
        return Match(compiled.rule, matched, len(terms), is_doubtful)


def compile_rules(rules: Sequence[Rule], *, version: str, territory: Territory) -> Rules:
    """Compile checked rules.

    Raises: PatternError, when RE2 refuses the set as a whole (too large).
    """
    terms = _Terms()
    ranked = tuple(terms.compiled(rule) for rule in sorted(rules, key=lambda rule: (not rule.hard, -rule.priority)))
    by_term: list[list[int]] = [[] for _ in terms.labels]
    always: list[int] = []
    for rank, compiled in enumerate(ranked):
        wanted = compiled.any_ or compiled.all_ or compiled.patterns
        for term in wanted:
            by_term[term].append(rank)
        if not wanted:
            always.append(rank)
    return Rules(
        version=version,
        rules=tuple(rules),
        territory=territory,
        _ranked=ranked,
        _labels=tuple(terms.labels),
        _by_term=tuple(map(tuple, by_term)),
        _always=tuple(always),
        _set=_set_of(list(terms.numbers)),
    )


def check_pattern(pattern: str) -> None:
    """Raises: PatternError, saying what RE2 does not take in it."""
    try:
        re2.compile(pattern_source(pattern), _options())
    except re2.error as error:
        detail = error.args[0] if error.args else "not a pattern"
        raise PatternError(detail.decode() if isinstance(detail, bytes) else str(detail)) from error


def facts_text(parts: Iterable[str]) -> str:
    """What the words and patterns look at: the parts, each on lines of its own."""
    return "\n".join(part for part in parts if part)


class _Terms:
    """Gives each different pattern a number; rules share what they have in common."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.labels: list[str] = []

    def compiled(self, rule: Rule) -> _Compiled:
        words = rule.when.words
        return _Compiled(
            rule=rule,
            any_=self._words(words.any_ if words else ()),
            all_=self._words(words.all_ if words else ()),
            none_=self._words(words.none_ if words else ()),
            patterns=tuple(self._number(pattern_source(text), f"pattern: {text}") for text in rule.when.patterns),
        )

    def _words(self, terms: Iterable[str]) -> tuple[int, ...]:
        return tuple(self._number(word_source(term), f"word: {term}") for term in terms)

    def _number(self, source: str, label: str) -> int:
        if source not in self.numbers:
            self.numbers[source] = len(self.labels)
            self.labels.append(label)
        return self.numbers[source]


def _facts_hold(rule: Rule, facts: Facts) -> bool:
    when = rule.when
    return (
        (rule.until is None or facts.day <= rule.until)
        and (not when.channel or facts.channel in when.channel)
        and (not when.to or facts.to.lower() in {to.lower() for to in when.to})
        and (not when.procedure or facts.procedure in when.procedure)
        and (not when.language or facts.language in when.language)
        and (when.machine_sent is None or facts.machine_sent == when.machine_sent)
        and (not when.sender_domain or any(map(facts.is_from, when.sender_domain)))
        and (not when.postcode or any(code.startswith(when.postcode) for code in facts.postcodes))
        and (not when.attachment or any(map(facts.holds, when.attachment)))
        and (not when.area or not set(when.area).isdisjoint(facts.areas))
    )


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
