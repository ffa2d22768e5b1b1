"""Asks the classifier about those contacts of a batch that no rule decided."""

from collections.abc import Sequence

from msgspec.structs import replace

from parvis.common.town.models import TownConfig
from parvis.router.consume.mail import Arrival
from parvis.router.decide.classification import apply_prediction, is_classifiable, text_to_classify
from parvis.router.sandbox.classifier import Classifier


async def classify_arrivals(
    arrivals: Sequence[Arrival], classifier: Classifier | None, town_config: TownConfig
) -> Sequence[Arrival]:
    """The arrivals, with a prediction applied to each undecided one that got one.

    Needs: no open transaction: the classifier may take two seconds.
    """
    if classifier is None or not classifier.is_available:
        return arrivals
    undecided = {
        number: arrival for number, arrival in enumerate(arrivals) if is_classifiable(arrival.contact, arrival.decision)
    }
    if not undecided:
        return arrivals
    outputs = await classifier.classify([text_to_classify(arrival.contact) for arrival in undecided.values()])
    classified = list(arrivals)
    for (number, arrival), output in zip(undecided.items(), outputs, strict=True):
        classified[number] = replace(arrival, decision=apply_prediction(arrival.decision, output, town_config))
    return classified
