"""Facts about rules: reading, checking and matching."""

import shutil
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.errors import Misconfigured
from parvis.common.town.loading import load_town_config
from parvis.common.town.models import TownConfig
from parvis.router.fetch.rules_files import check_rules, load_rules
from parvis.router.rules.facts import Facts
from parvis.router.rules.rule_set import RuleSet
from parvis.router.rules.term_patterns import fold, fold_for_matching

EXAMPLE = Path(__file__).parents[3] / "config" / "example-town"


@pytest.fixture(scope="module")
def town_config() -> TownConfig:
    return load_town_config(EXAMPLE)


@pytest.fixture(scope="module")
def rules(town_config: TownConfig) -> RuleSet:
    return load_rules(EXAMPLE, town_config)


def facts(rules: RuleSet, text: str, **changes: object) -> Facts:
    known: dict[str, object] = {
        "channel": "sms",
        "to": "+33536490100",
        "procedure": None,
        "language": "fr",
        "machine_sent": False,
    }
    return Facts(matched_terms=rules.find_terms(fold_for_matching(text)), **(known | changes))  # pyright: ignore[reportArgumentType]


def matched(rules: RuleSet, text: str, **changes: object) -> str | None:
    matches = rules.match(facts(rules, text, **changes))
    return matches[0].rule.id if matches else None


def only(town_config: TownConfig, tmp_path: Path, body: str) -> RuleSet:
    """A rule set with one rule, whose `when` and `then` are `body`."""
    (tmp_path / "rules.yaml").write_text(f"rules:\n  - id: one\n{body}")
    return load_rules(tmp_path, town_config)


def test_the_example_town_has_a_realistic_rule_set(town_config: TownConfig, rules: RuleSet) -> None:
    assert len(rules.rules) >= 25
    town_departments = {slug for slug, department in town_config.departments.items() if department.body is None}
    assert {rule.then.department for rule in rules.rules} == town_departments
    assert check_rules(EXAMPLE, town_config)[0].startswith(f"{len(rules.rules)} rules, ")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Bonjour, il y a un NID-DE-POULE devant le 12 rue des Lilas", "pothole"),
        ("Deux nids de  poules\net un trottoir cassé", "pothole"),
        ("there is a huge pothole on Mill Road", "pothole"),
        ("J’ai besoin d’un extrait d’acte de naissance", "birth-certificate"),
        ("I need a copy of my birth certificate, please", "birth-certificate"),
        ("le lampadaire ne marche plus", "street-lamp"),
        ("Il y a une fuite d eau depuis hier", "water-leak"),
        ("Comment inscrire mon fils à la cantine ?", "school-meals"),
        ("mes ENCOMBRANTS n'ont pas été pris", "bulky-waste"),
        ("My bin collection was missed", "bins-and-collection"),
        ("Je voudrais m'inscrire sur la liste electorale", "electoral-roll"),
        ("une voiture est garée devant mon garage", "bad-parking"),
        ("tapage toute la nuit chez le voisin", "noise-and-peace"),
        ("horaires de la piscine svp", "library-and-pool"),
        ("je dors dehors depuis une semaine, aidez moi", "no-home-tonight"),
        ("forte odeur de gaz dans la cour de l'école", "gas-or-collapse"),
        ("il a plu toute la journée", None),
        ("merci", None),
        ("", None),
    ],
)
def test_a_message_in_a_citizens_words_matches_its_rule(rules: RuleSet, text: str, rule: str | None) -> None:
    assert matched(rules, text) == rule


def test_a_hard_rule_comes_first_whatever_the_priorities(town_config: TownConfig, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(
        "rules:\n"
        "  - {id: soft, priority: 100, when: {words: {any: chat}}, then: {department: finances}}\n"
        "  - {id: first, priority: 1, when: {words: {any: chat}}, then: {department: voirie}}\n"
        "  - {id: hard, priority: 0, hard: true, when: {words: {any: chat}}, then: {department: dechets}}\n"
        "  - {id: second, priority: 1, when: {words: {any: chat}}, then: {department: voirie}}\n"
    )
    rules = load_rules(tmp_path, town_config)
    matches = rules.match(facts(rules, "un chat"))
    assert [match.rule.id for match in matches] == ["hard", "soft", "first", "second"]


@pytest.mark.parametrize(
    ("when", "yes", "no"),
    [
        ("{words: {all: [chat, rue]}}", {"text": "la rue du chat"}, {"text": "un chat"}),
        ("{words: {any: [chat], none: [chien]}}", {"text": "chats"}, {"text": "un chat et un chien"}),
        ("{words: {any: 'inond*'}}", {"text": "tout est inondé"}, {"text": "une onde"}),
        ("{words: {any: rat}}", {"text": "des rats"}, {"text": "la rature"}),
        ("{words: {any: 'cœur'}}", {"text": "au COEUR"}, {"text": "le choeur"}),
        ("{words: {any: 'вода'}}", {"text": "нет: вода!"}, {"text": "водка"}),
        ("{patterns: ['\\b001\\d\\d\\b']}", {"text": "à 00100 Val-Exemple"}, {"text": "001000"}),
        ("{patterns: ['École Élémentaire']}", {"text": "une ecole elementaire"}, {"text": "collège"}),
        ("{channel: [sms, email]}", {"text": ""}, {"text": "", "channel": "web"}),
        ("{to: Accueil@Example-Town.example}", {"text": "", "to": "accueil@example-town.example"}, {"text": ""}),
        ("{language: en}", {"text": "x", "language": "en"}, {"text": "x"}),
        ("{procedure: water-leak}", {"text": "x", "procedure": "water-leak"}, {"text": "x"}),
        ("{machine_sent: true}", {"text": "x", "machine_sent": True}, {"text": "x"}),
        ("{channel: sms, words: {any: chat}}", {"text": "chat"}, {"text": "chat", "channel": "web"}),
    ],
)  # fmt: skip
def test_each_condition_matches_only_where_it_should(
    town_config: TownConfig, tmp_path: Path, when: str, yes: dict[str, object], no: dict[str, object]
) -> None:
    rules = only(town_config, tmp_path, f"    when: {when}\n    then: {{department: voirie}}\n")
    assert rules.match(facts(rules, **yes))  # pyright: ignore[reportArgumentType]
    assert not rules.match(facts(rules, **no))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("department: voirie", "department: voiri", "unknown department 'voiri'. Did you mean 'voirie'?"),
        (
            "procedure: road-report",
            "procedure: road-reports",
            "unknown procedure 'road-reports'. Did you mean 'road-report'?",
        ),
        ("id: pothole", "id: street-lamp", "duplicate rule id 'street-lamp', first used at line "),
        ("    hard: true", "    hart: true", "unknown key. Did you mean 'hard'?"),
        (r"\bchorus\s*pro\b", r"(chorus", "RE2 does not accept the pattern: missing ): "),
        (r"\bchorus\s*pro\b", r"(?<=a)b", "RE2 does not accept the pattern: invalid perl operator: (?<"),
        ("any: [encombrant,", "any: ['?!',", "'?!' contains no letter or digit"),
        ("when: {machine_sent: true}", "when: {}", "a rule needs a condition"),
        ("none: [perdu", "non: [perdu", "unknown key. Did you mean 'none'?"),
        ("urgency: immediate", "urgency: now", "then.urgency"),
    ],
)
def test_an_invalid_rule_is_reported_with_file_line_and_correction(
    town_config: TownConfig, tmp_path: Path, old: str, new: str, message: str
) -> None:
    folder = shutil.copytree(EXAMPLE, tmp_path / "town")
    file = folder / "rules.yaml"
    text = file.read_text()
    at = text.index(old)
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(Misconfigured) as caught:
        load_rules(folder, town_config)
    line = int(str(caught.value).split(":")[1])
    assert message in str(caught.value)
    assert abs(line - text[:at].count("\n") - 1) <= 12  # the line where the rule begins, if the whole rule is wrong


def test_the_version_changes_with_the_file(town_config: TownConfig, rules: RuleSet, tmp_path: Path) -> None:
    other = only(town_config, tmp_path, "    when: {channel: sms}\n    then: {department: voirie}\n")
    assert len(rules.version) == len(other.version) == 12
    assert rules.version != other.version


@given(st.text() | st.text(alphabet=st.characters(codec=None)), st.sampled_from(["sms", "email", "web"]))
def test_no_text_makes_the_rules_raise(text: str, channel: str) -> None:
    for match in RULES.match(facts(RULES, text, channel=channel)):
        assert match.rule in RULES.rules


@given(st.text(max_size=300))
def test_folding_is_idempotent(text: str) -> None:
    assert fold(fold(text)) == fold(text)


RULES = load_rules(EXAMPLE, load_town_config(EXAMPLE))


@given(st.text(st.characters(max_codepoint=0x17F) | st.characters()))
def test_the_fast_path_folds_like_unicode_normalization(text: str) -> None:
    plain = unicodedata.normalize("NFKD", text.casefold()).casefold()
    letters = str.maketrans(
        {"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ı": "i", "’": "'", "ʼ": "'", "\u2010": "-", "¬": "-"}
    )
    assert fold(text) == "".join(c for c in plain.translate(letters) if not unicodedata.combining(c))
    assert fold(fold(text)) == fold(text)
