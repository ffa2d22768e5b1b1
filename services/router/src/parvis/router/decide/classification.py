"""Merges a classifier's predictions into the decision of the rules. Pure; never raises, whatever the predictions."""

from collections.abc import Iterator, Sequence
from math import isnan

from msgspec.structs import replace

from parvis.common.contract.contact import TRIAGE, ContactReceived
from parvis.common.contract.routing.decisions import RunnerUp
from parvis.common.town.models import TownConfig, localized
from parvis.router.decide import msgspec_contract_types
from parvis.router.decide.classifier.predictions import ClassifierOutput, Prediction
from parvis.router.decide.department import Decision
from parvis.router.rules.facts import join_text

UNDECIDED = "default"
MODEL = "model"
_MAX_RUNNERS_UP = 3
_MAX_TEXT_CHARS = 4000  # the model reads even less


def is_classifiable(contact: ContactReceived, decision: Decision) -> bool:
    """Whether the classifier may be asked: no rule, form or mailbox decided, and a person wrote some text."""
    return decision.rule == UNDECIDED and contact.machine is None and bool(text_to_classify(contact).strip())


def text_to_classify(contact: ContactReceived) -> str:
    """The citizen's own words for the classifier, the subject first."""
    personal = contact.personal
    return join_text((personal.subject, personal.text, *personal.answers.values()))[:_MAX_TEXT_CHARS]


def apply_prediction(decision: Decision, output: ClassifierOutput | None, town_config: TownConfig) -> Decision:
    """Decide by the best prediction if its confidence reaches the threshold; else triage, with the three best for the agent.

    Gives: the decision unchanged if a rule made it, or if there is no prediction.
    """
    if output is None or decision.rule != UNDECIDED:
        return decision
    likely = list(_rank_current_departments(output, town_config))
    if not likely:
        return replace(decision, model=output.model)
    if likely[0].department != TRIAGE and likely[0].confidence >= output.threshold:
        return _decided(decision, output, likely, town_config)
    names = [town_config.departments[prediction.department].name for prediction in likely[:_MAX_RUNNERS_UP]]
    return replace(
        decision,
        model=output.model,
        runners_up=_runners_up(likely),
        reason={
            "fr": "Rien ne désigne un service avec assez de certitude : une personne lit ce message. Service possible : "
            + ", ".join(localized(name, "fr") for name in names)
            + ".",
            "en": "Nothing points to a department surely enough: a person reads this message. It may be for: "
            + ", ".join(localized(name, "en") for name in names)
            + ".",
        },
    )


def _decided(
    decision: Decision, output: ClassifierOutput, likely: Sequence[Prediction], town_config: TownConfig
) -> Decision:
    best, name = likely[0], town_config.departments[likely[0].department].name
    return replace(
        decision,
        department=best.department,
        rule=MODEL,
        model=output.model,
        matched=(MODEL,),
        confidence=round(best.confidence, 2),
        runners_up=_runners_up(likely[1:]),
        reason={
            "fr": f"Ce message ressemble à ceux que traite le service : {localized(name, 'fr')}.",
            "en": f"This message is like those that this department answers: {localized(name, 'en')}.",
        },
    )


def _runners_up(likely: Sequence[Prediction]) -> tuple[RunnerUp, ...]:
    return tuple(
        msgspec_contract_types.RunnerUp(
            department=prediction.department, rule=MODEL, confidence=round(prediction.confidence, 2)
        )
        for prediction in likely
        if prediction.department != TRIAGE
    )[:_MAX_RUNNERS_UP]


def _rank_current_departments(output: ClassifierOutput, town_config: TownConfig) -> Iterator[Prediction]:
    """Existing departments, best first; a retired one counts for its successor, and their confidences add up."""
    confidence_of: dict[str, float] = {}
    for prediction in output.predictions:
        if town_config.department(prediction.department) and not isnan(prediction.confidence):
            slug = town_config.current_department(prediction.department)
            confidence_of[slug] = min(1.0, max(0.0, confidence_of.get(slug, 0.0) + prediction.confidence))
    for slug in sorted(confidence_of, key=lambda slug: (-confidence_of[slug], slug)):
        yield Prediction(slug, confidence_of[slug])
