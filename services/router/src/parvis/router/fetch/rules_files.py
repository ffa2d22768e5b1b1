"""Reads `rules.yaml` and `territory.yaml` from disk, checks them and compiles them; errors name file, line and correction."""

import hashlib
from pathlib import Path

from parvis.common.town.loading import check_department
from parvis.common.town.models import TownConfig
from parvis.common.town.templates import load_templates
from parvis.common.town.yaml_documents import YamlDocument, closest_match, read_document, validate_document
from parvis.router.rules.rule_compiler import PatternError, check_pattern, compile_rules
from parvis.router.rules.rule_set import RuleSet
from parvis.router.rules.rules_schema import Rule, RulesFile
from parvis.router.rules.term_patterns import has_words
from parvis.router.rules.town_areas import TerritoryFile, TownAreas, compile_service_areas
from parvis.router.rules.word_proximity import Lexicon, NearError, parse_near


def load_rules(path: Path, town_config: TownConfig) -> RuleSet:
    """Read, check and compile the rules of the configuration folder `path`.

    Raises: Misconfigured, with file, line and correction: a duplicate id, an unknown department, procedure or language, a pattern
            that RE2 does not accept, a word without a letter or digit.
    """
    document = read_document(path / "rules.yaml")
    file = validate_document(RulesFile, document, context={"languages": town_config.town.languages})
    rules = file.rules
    service_areas = _load_service_areas(path, town_config)
    _check_ids(document, rules)
    for index, rule in enumerate(rules):
        _check_names(document, index, rule, town_config)
        _check_areas(document, index, rule, service_areas)
        _check_terms(document, index, rule, file.lexicon)
    try:
        return compile_rules(rules, version=compute_version(path), service_areas=service_areas, lexicon=file.lexicon)
    except PatternError as error:
        raise document.error(str(error), "rules", mend="use fewer or shorter patterns") from error


def compute_version(path: Path) -> str:
    """The version that decisions record: the first 12 hexadecimal digits of the SHA-256 of both files.

    Raises: OSError, when the rules cannot be read.
    """
    territory = path / "territory.yaml"
    content = (path / "rules.yaml").read_bytes() + (territory.read_bytes() if territory.exists() else b"")
    return hashlib.sha256(content).hexdigest()[:12]


def check_rules(path: Path, town_config: TownConfig) -> list[str]:
    """The lines that `parvis config check` prints about the router's files.

    Raises: Misconfigured, as `load_rules` and `load_templates` do.
    """
    rules = load_rules(path, town_config)
    templates = load_templates(path, town_config)
    hard = sum(rule.hard for rule in rules.rules)
    tags = sorted({tag for rule in rules.rules for tag in rule.then.tags})
    return [
        f"{len(rules.rules)} rules, {hard} of them hard, version {rules.version}",
        f"{len(tags)} tags: {', '.join(tags)}" if tags else "no tags",
        f"{len(rules.service_areas.areas)} areas",
        f"{len(templates.by_name)} templates in {', '.join(town_config.town.languages)}",
    ]


def _load_service_areas(path: Path, town_config: TownConfig) -> TownAreas:
    if not (path / "territory.yaml").exists():
        return TownAreas()
    document = read_document(path / "territory.yaml")
    areas = validate_document(TerritoryFile, document, context={"languages": town_config.town.languages}).areas
    seen: set[str] = set()
    for index, area in enumerate(areas):
        if area.id in seen:
            raise document.error(
                f"duplicate area id {area.id!r}", "areas", index, "id", mend="give one of the two areas another id"
            )
        seen.add(area.id)
        for position, street in enumerate(area.streets):
            if not has_words(street.street):
                raise document.error(
                    f"{street.street!r} contains no letter or digit",
                    "areas",
                    index,
                    "streets",
                    position,
                    mend="write the name of the street",
                )
    return compile_service_areas(areas)


def _check_areas(document: YamlDocument, index: int, rule: Rule, service_areas: TownAreas) -> None:
    known = [area.id for area in service_areas.areas]
    for position, area in enumerate(rule.when.area):
        if area not in known:
            mend = closest_match(area, known) if known else "describe the areas in territory.yaml"
            raise document.error(f"unknown area {area!r}", "rules", index, "when", "area", position, mend=mend)


def _check_ids(document: YamlDocument, rules: tuple[Rule, ...]) -> None:
    seen: dict[str, int] = {}
    for index, rule in enumerate(rules):
        if rule.id in seen:
            first = document.line("rules", seen[rule.id], "id")
            fact = f"duplicate rule id {rule.id!r}, first used at line {first}"
            raise document.error(fact, "rules", index, "id", mend="give this rule another id")
        seen[rule.id] = index


def _check_names(document: YamlDocument, index: int, rule: Rule, town_config: TownConfig) -> None:
    check_department(rule.then.department, town_config.departments, document, "rules", index, "then", "department")
    procedures = town_config.procedures
    if rule.then.procedure and rule.then.procedure not in procedures:
        fact, mend = f"unknown procedure {rule.then.procedure!r}", closest_match(rule.then.procedure, procedures)
        raise document.error(fact, "rules", index, "then", "procedure", mend=mend)
    for position, slug in enumerate(rule.when.procedure):
        if slug not in procedures:
            fact, mend = f"unknown procedure {slug!r}", closest_match(slug, procedures)
            raise document.error(fact, "rules", index, "when", "procedure", position, mend=mend)


def _check_terms(document: YamlDocument, index: int, rule: Rule, lexicon: Lexicon) -> None:
    for position, pattern in enumerate(rule.when.patterns):
        try:
            check_pattern(pattern)
        except PatternError as error:
            mend = "RE2 has no look-around and no back-references"
            raise document.error(
                f"RE2 does not accept the pattern: {error}", "rules", index, "when", "patterns", position, mend=mend
            ) from error
    words = rule.when.words
    for position, source in enumerate(words.near if words else ()):
        try:
            parse_near(source, words.unless if words else (), lexicon)
        except NearError as error:
            path = ("rules", index, "when", "words", "near", position)
            raise document.error(
                str(error), *path, mend="join the parts with `&`, the words of a part with `|`"
            ) from error
    for name, terms in (
        (("any", words.any_), ("all", words.all_), ("none", words.none_), ("unless", words.unless)) if words else ()
    ):
        for position, term in enumerate(terms):
            if not has_words(term):
                path = ("rules", index, "when", "words", name, position)
                raise document.error(
                    f"{term!r} contains no letter or digit", *path, mend="use `patterns` for punctuation"
                )
