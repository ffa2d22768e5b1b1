"""Tests that a visit or a call stays in the department where an agent writes it down; the rules only propose."""

from pathlib import Path
from typing import Any

import pytest

from parvis.common.contract.contact import Verification
from parvis.common.testing import a_contact
from parvis.common.town.loading import load_town_config
from parvis.router.decide.classification import is_classifiable
from parvis.router.decide.department import Decision, decide_department
from parvis.router.decide.final_decision import suggest_split
from parvis.router.fetch.rules_files import load_rules
from parvis.router.models.stored_rows import Conversation

EXAMPLE = Path(__file__).parents[3] / "config" / "example-town"
TOWN_CONFIG = load_town_config(EXAMPLE)
RULES = load_rules(EXAMPLE, TOWN_CONFIG)
STAFF = Verification(level="staff", evidence="seen or heard by an agent of voirie")


def decided(text: str, **changes: Any) -> Decision:
    values: dict[str, Any] = {"channel": "counter", "to": "voirie", "sender": STAFF}
    return decide_department(a_contact(text=text, **(values | changes)), RULES, TOWN_CONFIG)


@pytest.mark.parametrize("text", ["Elle veut un acte de naissance.", "Fuite d’eau dans sa rue.", "Bonjour.", ""])
def test_a_visit_stays_where_it_is_written_down_whatever_its_words(text: str) -> None:
    decision = decided(text)

    assert (decision.department, decision.rule, decision.confidence) == ("voirie", "written-down", 1.0)
    assert {"fr", "en"} == set(decision.reason)
    assert "voirie" not in [other.department for other in decision.runners_up]


def test_the_rules_propose_another_department_first() -> None:
    assert decided("Fuite d’eau dans sa rue.").runners_up[0].department == "eau-assainissement"


def test_the_procedure_that_the_agent_chose_stays_with_its_deadlines() -> None:
    assert decided("Un acte.", procedure="birth-certificate").procedure == "birth-certificate"
    assert decided("il y a un nid-de-poule").procedure == "road-report"
    assert decided("Elle veut un acte de naissance.").procedure is None


def test_danger_stays_urgent() -> None:
    text = "Un câble électrique est tombé sur le trottoir."
    assert decided(text, to="finances").urgency == decided(text, sender=Verification(level="none")).urgency != "normal"


def test_reception_leaves_the_department_to_the_rules() -> None:
    assert decided("il y a un nid-de-poule", to="triage").department == "voirie"


def test_nobody_but_staff_states_a_department() -> None:
    assert decided("Fuite d’eau.", sender=Verification(level="none")).department == "eau-assainissement"


def test_the_classifier_is_not_asked_and_nothing_suggests_a_split() -> None:
    contact = a_contact(text="Bonjour.", channel="counter", to="voirie", sender=STAFF)
    decision = decide_department(contact, RULES, TOWN_CONFIG)
    assert not is_classifiable(contact, decision)
    conversation: Any = Conversation.__new__(Conversation)
    object.__setattr__(conversation, "department", "finances")
    assert suggest_split(contact, conversation, decision, TOWN_CONFIG) is None
