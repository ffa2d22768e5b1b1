"""Facts about comparing rule sets, explaining decisions, and conditions other than words."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from parvis.common.contract.contact import Attachment, ClaimCheck, ContactPersonalData, ContactPoint
from parvis.common.testing import a_contact
from parvis.common.town.loading import load_town_config
from parvis.common.town.models import TownConfig
from parvis.router.commands import register
from parvis.router.decide.department import decide_department
from parvis.router.decide.rule_comparison import compare_rules, explain_decision
from parvis.router.fetch.rules_files import load_rules
from parvis.router.rules.rule_set import RuleSet

EXAMPLE = Path(__file__).parents[3] / "config" / "example-town"


@pytest.fixture(scope="module")
def town_config() -> TownConfig:
    return load_town_config(EXAMPLE)


def only(town_config: TownConfig, tmp_path: Path, body: str) -> RuleSet:
    (tmp_path / "rules.yaml").write_text(f"rules:\n  - {{id: one, then: {{department: voirie}}, {body}}}\n")
    return load_rules(tmp_path, town_config)


def a_file(media_type: str) -> Attachment:
    return Attachment.from_claim_check(ClaimCheck(blob="x/y", sha256="0" * 64, size_bytes=1, media_type=media_type))


def from_(kind: str, value: str) -> ContactPersonalData:
    return ContactPersonalData.model_validate({"from": ContactPoint(kind=kind, value=value), "text": "Bonjour"})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("when", "changes", "decided"),
    [
        ("when: {sender_domain: notaires.example}", {"personal": from_("email", "a@notaires.example")}, "one"),
        ("when: {sender_domain: notaires.example}", {"personal": from_("email", "a@x.notaires.example")}, "one"),
        ("when: {sender_domain: notaires.example}", {"personal": from_("email", "a@xnotaires.example")}, "default"),
        ("when: {postcode: '75'}", {"personal": from_("post", "M. Un\n1 rue du Port\n75011 Paris")}, "one"),
        ("when: {postcode: '75'}", {"personal": from_("post", "M. Un\n75 rue du Port\n13001 Marseille")}, "default"),
        ("when: {attachment: image/*}", {"attachments": (a_file("application/pdf"), a_file("image/png"))}, "one"),
        ("when: {attachment: image/*}", {"attachments": (a_file("application/pdf"),)}, "default"),
        ("when: {attachment: application/pdf}", {"attachments": (a_file("application/pdf"),)}, "one"),
        ("until: 2026-11-23, when: {channel: sms}", {"received_at": datetime(2026, 11, 23, 22, tzinfo=UTC)}, "one"),
        ("until: 2026-11-23, when: {channel: sms}", {"received_at": datetime(2026, 11, 23, 23, tzinfo=UTC)}, "default"),
    ],
)
def test_a_rule_can_use_facts_other_than_words(
    town_config: TownConfig, tmp_path: Path, when: str, changes: dict[str, object], decided: str
) -> None:
    contact, rules = a_contact(**changes), only(town_config, tmp_path, when)  # pyright: ignore[reportArgumentType]
    decide_department(a_contact(channel="phone"), rules, town_config)  # a cached result of other facts must not be used
    assert decide_department(contact, rules, town_config).rule == decided


def test_a_postcode_in_a_form_counts_and_other_figures_do_not(town_config: TownConfig, tmp_path: Path) -> None:
    rules = only(town_config, tmp_path, "when: {postcode: '13001'}")
    answers = {"where": "2 quai du Port, 13001 Marseille", "amount": "13001"}
    at_home = a_contact(personal=ContactPersonalData(text="", answers=answers))
    elsewhere = a_contact(personal=ContactPersonalData(text="", answers={"amount": "13001"}))
    assert decide_department(at_home, rules, town_config).rule == "one"
    assert decide_department(elsewhere, rules, town_config).rule == "default"


def test_a_comparison_counts_the_contacts_that_would_be_routed_differently(
    town_config: TownConfig, tmp_path: Path
) -> None:
    now = load_rules(EXAMPLE, town_config)
    then = only(town_config, tmp_path, "when: {words: {any: lampadaire}}")
    contacts = [
        a_contact(key="1", text="Un lampadaire est éteint"),
        a_contact(key="2", text="Je voudrais un acte de naissance"),
        a_contact(key="3", text="zzz"),
    ]
    trial = compare_rules(contacts, now, then, town_config)
    assert (trial.contacts, dict(trial.moved)) == (3, {("etat-civil", "triage"): 1})
    report = "\n".join(trial.lines())
    assert "3 contacts, 1 would go elsewhere (33.3%)" in report
    assert f"{contacts[1].reference}: etat-civil (birth-certificate) -> triage (default)" in report
    assert "naissance" not in report
    assert dict(compare_rules(contacts, now, now, town_config).moved) == {}


def test_a_decision_is_explained_to_the_operator(town_config: TownConfig) -> None:
    decision = decide_department(
        a_contact(text="Un lampadaire est éteint"), load_rules(EXAMPLE, town_config), town_config
    )
    lines = "\n".join(explain_decision(decision, "fr"))
    assert "department  voirie" in lines
    assert "word: lampadaire" in lines
    assert "Vous parlez de l’éclairage public." in lines


def test_the_command_explains_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    arguments = parser.parse_args(
        ["rules", "explain", str(EXAMPLE), "Une fuite de gaz rue des Lilas", "--language", "en"]
    )
    assert arguments.run(arguments) == 0
    lines = capsys.readouterr().out
    assert "police-municipale" in lines
    assert "urgency     immediate" in lines


def test_tags_of_all_matching_rules_are_shown_and_compared(town_config: TownConfig, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(
        "rules:\n"
        "  - {id: one, priority: 90, then: {department: voirie, tags: [rue, danger]}, when: {words: {any: [trou]}}}\n"
        "  - {id: two, then: {department: finances, tags: danger}, when: {words: {any: [facture]}}}\n"
    )
    tagged, contact = load_rules(tmp_path, town_config), a_contact(text="un trou, et ma facture")
    decision = decide_department(contact, tagged, town_config)
    assert (decision.department, decision.tags) == ("voirie", ("rue", "danger"))
    assert "tags        rue, danger" in explain_decision(decision, "en")
    untagged = only(town_config, tmp_path, "when: {words: {any: [trou]}}")
    lines = list(compare_rules([contact], tagged, untagged, town_config).lines())
    assert "         tag danger: stands on 1, would stand on 0" in lines
