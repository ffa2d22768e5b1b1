"""Tests that dangers which nobody trained on reach those who help, by the rules or by the model, and that few others do."""

from pathlib import Path

import pytest

from parvis.common.runtime.health import Health
from parvis.common.town.loading import load_town_config
from parvis.router.consume.classification import mark_possible_dangers
from parvis.router.consume.rule_evaluation import EvaluatedContact
from parvis.router.decide.department import Decision, decide_department
from parvis.router.decide.possible_danger import POSSIBLE_DANGER
from parvis.router.fetch.rules_files import load_rules
from parvis.router.sandbox.classifier import DANGERS, SandboxedClassifier
from parvis.router.sandbox.danger_model import load_danger_model

from .makers import sms
from .test_sandbox_classifier import running, until_awake

EXAMPLE = Path(__file__).parents[3] / "config" / "example-town"
MEASURED = Path(__file__).parent / "samples" / "measured"
TOWN_CONFIG = load_town_config(EXAMPLE)
RULES = load_rules(EXAMPLE, TOWN_CONFIG)


def sentences(name: str) -> list[str]:
    lines = (MEASURED / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


async def decide(texts: list[str]) -> list[Decision]:
    """As the router decides: the rules, then the model about what they did not see."""
    contacts = [sms(number, text) for number, text in enumerate(texts)]
    incoming = [
        EvaluatedContact(each.contact_id, each, None, decide_department(each, RULES, TOWN_CONFIG))  # pyright: ignore[reportArgumentType]
        for each in contacts
    ]
    recogniser = SandboxedClassifier(Health(), task=DANGERS, limit_s=600)
    recogniser.use_model(load_danger_model())
    async with running(recogniser):
        await until_awake(recogniser)
        marked = await mark_possible_dangers(incoming, recogniser, RULES.danger_department)
    return [each.decision for each in marked]


def reaches_those_who_help(decision: Decision) -> bool:
    by_rule = "danger" in decision.tags
    by_model = POSSIBLE_DANGER in decision.tags and decision.department == RULES.danger_department
    return decision.urgency in ("immediate", "high") and (by_rule or by_model)


@pytest.mark.parametrize("number", [4, 5, 6])
async def test_dangers_of_people_under_stress_reach_those_who_help(number: int):
    texts = sentences(f"danger_{number}.txt")
    missed = [text for text, each in zip(texts, await decide(texts), strict=True) if not reaches_those_who_help(each)]
    assert len(texts) >= 100
    assert len(missed) <= 0.05 * len(texts), missed


@pytest.mark.parametrize("number", [4, 5, 6])
async def test_few_texts_that_only_sound_like_a_danger_disturb_them(number: int):
    decisions = await decide(sentences(f"harmless_{number}.txt"))
    assert sum(POSSIBLE_DANGER in each.tags for each in decisions) <= 0.1 * len(decisions)
    assert sum(map(reaches_those_who_help, decisions)) <= 0.15 * len(decisions)
