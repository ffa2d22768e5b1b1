"""Asks the classifier about the contacts of a batch that no rule decided."""

from collections.abc import Sequence

from msgspec.structs import replace

from parvis.common.town.models import TownConfig
from parvis.router.consume.contact_reading import IncomingContact
from parvis.router.decide.classification import apply_prediction, is_classifiable, text_to_classify
from parvis.router.sandbox.classifier import Classifier


async def classify_contacts(
    incoming: Sequence[IncomingContact], classifier: Classifier | None, town_config: TownConfig
) -> Sequence[IncomingContact]:
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
