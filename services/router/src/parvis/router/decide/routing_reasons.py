"""Turns a routing decision into one plain sentence per language, for the agent and the citizen. Pure; no I/O."""

from collections.abc import Mapping, Sequence

from parvis.common.town.models import Department, localized
from parvis.router.decide.find_conversation import MatchedBy

_CONTINUED: Mapping[MatchedBy, tuple[str, str]] = {
    "staff": (
        "Un agent a noté ce contact pour la demande {reference}",
        "An agent wrote this contact down for the request {reference}",
    ),
    "token": (
        "Ce message répond à un de nos envois, référence {reference}",
        "This message answers one of ours, reference {reference}",
    ),
    "reference": (
        "Ce message cite la référence {reference}, d'une personne qui y participe déjà",
        "This message quotes the reference {reference}, by somebody who takes part there",
    ),
    "mail thread": (
        "Ce courriel répond à un autre de l'échange {reference}, d'une personne qui y participe déjà",
        "This mail answers another one of {reference}, by somebody who takes part there",
    ),
    "subject": (
        "Ce courriel vient de la même adresse et a le même objet que l'échange récent {reference}",
        "This mail comes from the same address and has the same subject as the recent {reference}",
    ),
    "sender": (
        "Ce message suit de peu l'échange {reference}, avec les mêmes coordonnées",
        "This message comes soon after {reference}, from the same contact details",
    ),
    "answer": (
        "La réponse à notre question dit que ce message concerne la demande {reference}",
        "The answer to our question says that this message is about the request {reference}",
    ),
}


def continuation_reason(by: MatchedBy, reference: str, department: Department) -> dict[str, str]:
    """The reason for a contact that continues a conversation: how it was matched."""
    fr, en = (template.format(reference=reference) for template in _CONTINUED[by])
    return {
        "fr": f"{fr} ; il va au même service : {localized(department.name, 'fr')}.",
        "en": f"{en}; it goes to the same department: {localized(department.name, 'en')}.",
    }


def follow_up_reason(
    reference: str, reason: Mapping[str, str] | None = None, *, department: Department | None = None
) -> dict[str, str]:
    """The reason for a new conversation that follows a closed one, and for its department."""
    fr = f"La demande {reference} est close ; ce message en ouvre une nouvelle, qui lui est liée"
    en = f"The request {reference} is closed; this message opens a new one, which is linked to it"
    if department:
        return {
            "fr": f"{fr}, dans le même service : {localized(department.name, 'fr')}.",
            "en": f"{en}, in the same department: {localized(department.name, 'en')}.",
        }
    own_reason = reason or {}
    return {"fr": f"{fr} : {own_reason.get('fr', '')}", "en": f"{en}: {own_reason.get('en', '')}"}


def drift_reason(department: Department) -> dict[str, str]:
    """The hint that a message's words suggest another department than its conversation's."""
    return {
        "fr": f"Ce message semble parler d'autre chose, du ressort du service : {localized(department.name, 'fr')}.",
        "en": f"This message seems to be about something else, a matter of the department: {localized(department.name, 'en')}.",
    }


def unanswered_reason(references: Sequence[str]) -> dict[str, str]:
    """The reason for triage when a question was not answered."""
    listed = ", ".join(f"{number}. {reference}" for number, reference in enumerate(references, start=1))
    return {
        "fr": f"Ce message peut concerner plusieurs demandes en cours ({listed}) et notre question est restée sans réponse : "
        "une personne le lit.",
        "en": f"This message may be about several open requests ({listed}) and our question was not answered: a person reads it.",
    }


def given_up_reason() -> dict[str, str]:
    """The reason for triage when a contact failed too often."""
    return {
        "fr": "Ce message n'a pas pu être traité automatiquement : une personne le lit.",
        "en": "This message could not be handled automatically: a person reads it.",
    }
