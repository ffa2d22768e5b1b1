"""Marks contacts in which a model, but no rule, sees a possible danger, so that a person reads them first. Pure; never raises."""

from msgspec.structs import replace

from parvis.common.contract.contact import ContactReceived
from parvis.router.decide.classification import MODEL, UNDECIDED, text_to_classify
from parvis.router.decide.classifier.predictions import ClassifierOutput
from parvis.router.decide.department import Decision

DANGER, HARMLESS = "danger", "harmless"  # the labels of the model
POSSIBLE_DANGER = "danger-possible"  # the tag, a word in French and in English
SURE = 0.97  # cross-validated, 74 % of the dangers and 1 % of the harmless look-alikes reach it
_MOST_TAGS = 12
_READ_FIRST = {
    "fr": "Ce message pourrait parler d’un danger\u00a0: lisez-le d’abord.",
    "en": "This message may speak of a danger: read it first.",
}
_TO_THOSE_WHO_HELP = {
    "fr": "Rien d’autre ne désigne un service\u00a0; il va à celui qui reçoit les dangers.",
    "en": "Nothing else points to a department; it goes to the one that receives dangers.",
}


def may_hide_danger(contact: ContactReceived, decision: Decision) -> bool:
    """Whether the model is asked: no rule sees an immediate danger, and a person wrote some text."""
    return decision.urgency != "immediate" and contact.machine is None and bool(text_to_classify(contact).strip())


def is_possible_danger(decision: Decision) -> bool:
    """Whether the model sees a danger: no question to the citizen may delay the contact."""
    return POSSIBLE_DANGER in decision.tags


def mark_possible_danger(decision: Decision, output: ClassifierOutput | None, department: str | None) -> Decision:
    """Tag the contact and raise its urgency if the model's confidence in a danger reaches its threshold.

    Department: stays. Only if no rule, form or mailbox decided, and the model is sure, the contact goes to `department`, which receives the
                dangers that rules see: reception is closed at night.
    Gives: the decision unchanged if a rule saw an immediate danger, if there is no output or it is below the threshold.
    """
    confidence = _confidence_in_danger(output)
    if output is None or decision.urgency == "immediate" or not output.threshold <= confidence <= 1:
        return decision
    marked = replace(
        decision,
        urgency="high",
        tags=(POSSIBLE_DANGER, *decision.tags)[:_MOST_TAGS],
        model=f"{decision.model} {output.model}" if decision.model else output.model,
    )
    if department is None or confidence < SURE or decision.rule not in (UNDECIDED, MODEL):
        return marked
    return replace(
        marked,
        department=department,
        rule=MODEL,
        matched=(DANGER,),
        confidence=round(confidence, 2),
        reason=_TO_THOSE_WHO_HELP,
    )


def advise_reading_first(reason: dict[str, str]) -> dict[str, str]:
    """The reason for the agent, after the advice to read the message first."""
    return {language: f"{_READ_FIRST.get(language, _READ_FIRST['en'])} {text}" for language, text in reason.items()}


def _confidence_in_danger(output: ClassifierOutput | None) -> float:
    predictions = output.predictions if output else ()
    return max((each.confidence for each in predictions if each.department == DANGER), default=0.0)
