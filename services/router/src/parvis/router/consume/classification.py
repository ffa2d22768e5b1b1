"""Asks the classifiers about a batch: the department where no rule decided, and possible dangers that no rule saw."""

from collections.abc import Sequence

from msgspec.structs import replace

from parvis.common.runtime import metrics
from parvis.common.town.models import TownConfig
from parvis.router.consume.rule_evaluation import EvaluatedContact
from parvis.router.decide.classification import apply_prediction, is_classifiable, text_to_classify
from parvis.router.decide.possible_danger import is_possible_danger, mark_possible_danger, may_hide_danger
from parvis.router.sandbox.classifier import Classifier


async def classify_contacts(
    incoming: Sequence[EvaluatedContact], classifier: Classifier | None, town_config: TownConfig
) -> Sequence[EvaluatedContact]:
    """The contacts; where no rule decided and the classifier answered, with its prediction applied.

    Needs: no open transaction, because the classifier may take two seconds.
    """
    if classifier is None or not classifier.is_available:
        return incoming
    undecided = {
        number: contact for number, contact in enumerate(incoming) if is_classifiable(contact.contact, contact.decision)
    }
    if not undecided:
        return incoming
    outputs = await classifier.classify([text_to_classify(contact.contact) for contact in undecided.values()])
    classified = list(incoming)
    for (number, contact), output in zip(undecided.items(), outputs, strict=True):
        classified[number] = replace(contact, decision=apply_prediction(contact.decision, output, town_config))
    return classified


async def mark_possible_dangers(
    incoming: Sequence[EvaluatedContact], recogniser: Classifier | None, department: str | None
) -> Sequence[EvaluatedContact]:
    """The contacts; those in which only the model sees a danger are marked. `department`: receives the dangers that rules see.

    Needs: no open transaction, because the model may take half a second.
    """
    if recogniser is None or not recogniser.is_available:
        return incoming
    asked = [number for number, each in enumerate(incoming) if may_hide_danger(each.contact, each.decision)]
    if not asked:
        return incoming
    outputs = await recogniser.classify([text_to_classify(incoming[number].contact) for number in asked])
    answered = {number: output for number, output in zip(asked, outputs, strict=True) if output}
    marked = list(incoming)
    for number, output in answered.items():
        decision = mark_possible_danger(incoming[number].decision, output, department)
        marked[number] = replace(incoming[number], decision=decision)
        metrics.danger_assessments.labels("possible" if is_possible_danger(decision) else "none").inc()
    metrics.danger_assessments.labels("unasked").inc(len(asked) - len(answered))
    return marked
