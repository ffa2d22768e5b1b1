"""Marks contacts in which a model, but no rule, sees a possible danger, so that a person reads them first. Pure; never raises."""

from msgspec.structs import replace

from parvis.common.contract.contact import TRIAGE, ContactReceived
from parvis.common.contract.routing.decisions import RunnerUp
from parvis.router.decide import msgspec_contract_types
from parvis.router.decide.classification import MODEL, text_to_classify
from parvis.router.decide.classifier.predictions import ClassifierOutput
from parvis.router.decide.department import Decision

DANGER, HARMLESS = "danger", "harmless"  # the labels of the model
POSSIBLE_DANGER = "danger-possible"  # the tag, a word in French and in English
SURE = 0.9  # cross-validated, 71 % of the dangers and 2 % of the harmless texts, most of them look-alikes, reach it
_CHOSEN = frozenset({"procedure", "mailbox"})  # the citizen named the department
_CERTAIN = 1.0  # the confidence of a hard rule, and of an agent who wrote the contact down
_MOST_TAGS, _MOST_RUNNERS_UP = 12, 3
_READ_FIRST = {
    "fr": "Ce message pourrait parler d’un danger\u00a0: lisez-le d’abord.",
    "en": "This message may speak of a danger: read it first.",
}
_TO_THOSE_WHO_HELP = {
    "fr": "Il va au service qui reçoit les dangers\u00a0; s’il n’y en a pas, rendez-le d’un clic.",
    "en": "It goes to the department that receives dangers; if there is none, give it back with one click.",
}


def may_hide_danger(contact: ContactReceived, decision: Decision) -> bool:
    """Whether the model is asked: no rule sees an immediate danger, and a person wrote some text."""
    return decision.urgency != "immediate" and contact.machine is None and bool(text_to_classify(contact).strip())


def is_possible_danger(decision: Decision) -> bool:
    """Whether the model sees a danger: no question to the citizen may delay the contact."""
    return POSSIBLE_DANGER in decision.tags


def is_sure_danger(decision: Decision) -> bool:
    """Whether the model was sure, and moved the contact: no weak tie to a conversation may keep it from those who help."""
    return decision.rule == MODEL and decision.matched == (DANGER,) and decision.confidence >= SURE


def mark_possible_danger(decision: Decision, output: ClassifierOutput | None, department: str | None) -> Decision:
    """Tag the contact, raise its urgency and send it to those who help, if the model's confidence in a danger reaches its threshold.

    Department: `department`, which receives the dangers that rules see and is never closed. A hard rule's stays, and that in which an agent
                wrote the contact down; a form's or a mailbox's stays unless the model is sure. The one before is the first proposal.
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
    stays = decision.confidence == _CERTAIN or (decision.rule in _CHOSEN and confidence < SURE)
    if department is None or department == decision.department or stays:
        return marked
    return replace(
        marked,
        department=department,
        procedure=decision.procedure if decision.rule == "procedure" else None,
        rule=MODEL,
        matched=(DANGER,),
        confidence=round(confidence, 2),
        runners_up=_with_former(decision, department),
        reason=_TO_THOSE_WHO_HELP,
    )


def _with_former(decision: Decision, department: str) -> tuple[RunnerUp, ...]:
    """The department before the model was asked, and the others that were likely."""
    former = msgspec_contract_types.RunnerUp(
        department=decision.department, rule=decision.rule, confidence=round(decision.confidence, 2)
    )
    others = [other for other in decision.runners_up if other.department not in (department, decision.department)]
    return (*([former] if decision.department != TRIAGE else []), *others)[:_MOST_RUNNERS_UP]


def advise_reading_first(reason: dict[str, str]) -> dict[str, str]:
    """The reason for the agent, after the advice to read the message first."""
    return {language: f"{_READ_FIRST.get(language, _READ_FIRST['en'])} {text}" for language, text in reason.items()}


def _confidence_in_danger(output: ClassifierOutput | None) -> float:
    predictions = output.predictions if output else ()
    return max((each.confidence for each in predictions if each.department == DANGER), default=0.0)
