"""Tests that messages about a danger reach those who help at once, however they are written, and others do not."""

from pathlib import Path

import pytest

from parvis.common.contract.contact import TRIAGE, OcrQuality
from parvis.common.testing import a_contact
from parvis.common.town.loading import load_town_config
from parvis.common.town.models import TownConfig
from parvis.router.decide.department import Decision, decide_department
from parvis.router.fetch.rules_files import load_rules
from parvis.router.rules.rule_set import RuleSet

EXAMPLE = Path(__file__).parents[3] / "config" / "example-town"
SAMPLES = Path(__file__).parent / "samples"
POLICE = "police-municipale"


def sentences(name: str) -> list[str]:
    lines = (SAMPLES / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def town_config() -> TownConfig:
    return load_town_config(EXAMPLE)


@pytest.fixture(scope="module")
def rules(town_config: TownConfig) -> RuleSet:
    return load_rules(EXAMPLE, town_config)


def decided(town_config: TownConfig, rules: RuleSet, text: str, **personal: str) -> Decision:
    contact = a_contact(text=text)
    contact = contact.model_copy(update={"personal": contact.personal.model_copy(update=personal)})
    return decide_department(contact, rules, town_config)


@pytest.mark.parametrize("line", sentences("danger_sentences.txt"))
def test_a_danger_reaches_those_who_help(line: str, town_config: TownConfig, rules: RuleSet) -> None:
    named, _, text = line.rpartition("|")
    decision = decided(town_config, rules, text)
    assert decision.department in {POLICE, named or POLICE}
    assert decision.urgency in ("immediate", "high")
    assert "danger" in decision.tags


@pytest.mark.parametrize("text", sentences("harmless_sentences.txt"))
def test_words_of_danger_alone_are_none(text: str, town_config: TownConfig, rules: RuleSet) -> None:
    assert "danger" not in decided(town_config, rules, text).tags


@pytest.mark.parametrize("member", ["signature", "quoted", "subject"])
def test_a_hard_rule_reads_all_that_the_sender_wrote(member: str, town_config: TownConfig, rules: RuleSet) -> None:
    decision = decided(town_config, rules, "Bonjour", **{member: "Forte odeur de gaz dans le hall"})
    assert decision.department == POLICE


def test_our_own_mail_in_a_quote_sets_off_nothing(town_config: TownConfig, rules: RuleSet) -> None:
    quoted = f"Votre référence : {a_contact().reference}\nEn cas d'odeur de gaz, appelez le 18."
    assert "danger" not in decided(town_config, rules, "Merci", quoted=quoted).tags


@pytest.mark.parametrize(
    "text",
    [
        "Une inon\u00addation rue du Port",
        "Une i\u200bnon\u200bda\u2060tion rue du Port",
        "Il y a une inon-\ndation rue du Port",
        "Forte odeur de g\u00adaz",
    ],
)
def test_invisible_signs_and_divided_words_hide_no_danger(text: str, town_config: TownConfig, rules: RuleSet) -> None:
    assert "danger" in decided(town_config, rules, text).tags


@pytest.mark.parametrize(("confidence", "department"), [(0.08, TRIAGE), (0.64, POLICE)])
def test_what_resembles_a_word_on_a_page_of_noise_is_no_danger(
    town_config: TownConfig, rules: RuleSet, confidence: float, department: str
) -> None:
    contact = a_contact(
        text="apre gaz ko ee odeur Ce RE", channel="post", ocr=OcrQuality(confidence=confidence, pages=1)
    )
    assert decide_department(contact, rules, town_config).department == department


@pytest.mark.parametrize(
    ("text", "department"),
    [
        ("Inondation rue du Port. Bonjour, venez vite.", "eau-assainissement"),
        ("Deux choses : la cave est inondée, il y a un mètre d'eau, venez vite.", "eau-assainissement"),
        ("Venez vite, 3 rue des Lilas", POLICE),
        ("La cave est inondée et mon père ne respire plus, venez vite", POLICE),
    ],
)
def test_a_cry_for_haste_goes_where_its_danger_goes(
    text: str, department: str, town_config: TownConfig, rules: RuleSet
) -> None:
    decision = decided(town_config, rules, text)
    assert (decision.department, "danger" in decision.tags) == (department, True)
