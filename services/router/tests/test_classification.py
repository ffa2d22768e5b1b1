"""Facts about merging a classifier's predictions into the decision of the rules."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.contact import TRIAGE, MachineSent
from parvis.common.town.loading import load_town_config
from parvis.router.decide.classification import (
    apply_prediction,
    is_classifiable,
    text_to_classify,
)
from parvis.router.decide.classifier.predictions import ClassifierOutput, Prediction
from parvis.router.decide.department import Decision, decide_department
from parvis.router.fetch.rules_files import load_rules

from .makers import mail, sms

EXAMPLE = Path(__file__).parents[3] / "config" / "example-town"
TOWN_CONFIG = load_town_config(EXAMPLE)
RULES = load_rules(EXAMPLE, TOWN_CONFIG)
UNCLEAR = "Bonjour, j'aurais une question, merci de me rappeler."


def undecided(**changes: Any) -> Decision:
    decision = decide_department(sms(1, UNCLEAR, **changes), RULES, TOWN_CONFIG)
    assert decision.rule == "default"
    return decision


def output_of(*best: tuple[str, float], threshold: float = 0.8) -> ClassifierOutput:
    return ClassifierOutput("m-1", threshold, tuple(Prediction(*pair) for pair in best))


def test_a_confident_prediction_decides_with_its_reason():
    decision = apply_prediction(
        undecided(), output_of(("voirie", 0.91), ("dechets", 0.05), ("triage", 0.03)), TOWN_CONFIG
    )
    assert (decision.department, decision.rule, decision.model, decision.confidence) == ("voirie", "model", "m-1", 0.91)
    assert [other.department for other in decision.runners_up] == ["dechets"]
    assert "Voirie" in decision.reason["fr"]
    assert "Roads" in decision.reason["en"]


def test_an_unsure_prediction_goes_to_triage_with_the_three_best():
    best = [("voirie", 0.4), ("dechets", 0.3), ("finances", 0.2), ("urbanisme", 0.1)]
    decision = apply_prediction(undecided(), output_of(*best), TOWN_CONFIG)
    assert (decision.department, decision.rule, decision.model) == (TRIAGE, "default", "m-1")
    assert [(other.department, other.rule) for other in decision.runners_up] == [
        ("voirie", "model"),
        ("dechets", "model"),
        ("finances", "model"),
    ]
    assert "Voirie" in decision.reason["fr"]


def test_no_prediction_changes_nothing():
    decision = undecided()
    assert apply_prediction(decision, None, TOWN_CONFIG) is decision


def test_a_rule_is_never_overridden():
    ruled = decide_department(sms(1, "Ça sent la fuite de gaz !"), RULES, TOWN_CONFIG)
    assert apply_prediction(ruled, output_of(("voirie", 1.0)), TOWN_CONFIG) is ruled
    assert not is_classifiable(sms(1, "Ça sent la fuite de gaz !"), ruled)


def test_a_prediction_of_an_unknown_department_is_ignored():
    decision = apply_prediction(undecided(), output_of(("spaceport", 0.99), ("voirie", 0.01)), TOWN_CONFIG)
    assert decision.department == TRIAGE
    assert [other.department for other in decision.runners_up] == ["voirie"]
    assert apply_prediction(undecided(), output_of(("spaceport", 0.99)), TOWN_CONFIG).runners_up == ()


def test_a_prediction_of_a_retired_department_counts_for_its_successor():
    departments = dict(TOWN_CONFIG.departments)
    departments["voirie"] = departments["voirie"].model_copy(update={"successor": "urbanisme"})
    changed = TOWN_CONFIG.model_copy(update={"departments": departments})
    decision = apply_prediction(undecided(), output_of(("voirie", 0.5), ("urbanisme", 0.4)), changed)
    assert (decision.department, decision.confidence) == ("urbanisme", 0.9)


def test_a_predicted_triage_goes_to_triage():
    assert apply_prediction(undecided(), output_of(("triage", 0.99)), TOWN_CONFIG).department == TRIAGE


def test_automatic_and_empty_messages_are_not_classified():
    assert not is_classifiable(mail(1, UNCLEAR, machine=MachineSent(reason="auto-submitted")), undecided())
    assert not is_classifiable(sms(1, " \n"), undecided())
    assert is_classifiable(sms(1, UNCLEAR), undecided())


def test_the_text_to_classify_begins_with_the_subject_and_is_bounded():
    contact = mail(1, "x" * 50_000)
    with_subject = contact.model_copy(update={"personal": contact.personal.model_copy(update={"subject": "Objet"})})
    assert text_to_classify(with_subject).startswith("Objet\nxxx")
    assert len(text_to_classify(with_subject)) <= 4000


_SLUGS = st.one_of(st.sampled_from(["triage", "voirie", "dechets", "finances"]), st.text(max_size=5))


@given(
    best=st.lists(st.tuples(_SLUGS, st.floats(allow_nan=True, allow_infinity=True)), max_size=6),
    threshold=st.floats(allow_nan=True),
)
def test_any_prediction_gives_an_existing_department_and_confidences_from_0_to_1(
    best: list[tuple[str, float]], threshold: float
):
    decision = apply_prediction(undecided(), output_of(*best, threshold=threshold), TOWN_CONFIG)
    assert decision.department in TOWN_CONFIG.departments
    assert 0 <= decision.confidence <= 1
    assert all(0 <= other.confidence <= 1 and other.department != TRIAGE for other in decision.runners_up)
    assert len(decision.runners_up) <= 3
    if decision.rule == "model":
        assert not math.isnan(threshold)
        assert decision.confidence >= round(threshold, 2) - 0.01


@pytest.mark.parametrize("language", ["fr", "en"])
def test_the_sentence_has_every_language(language: str):
    assert apply_prediction(undecided(), output_of(("voirie", 0.3)), TOWN_CONFIG).reason[language].endswith(".")
