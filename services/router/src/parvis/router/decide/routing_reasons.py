"""Turns a routing decision into one plain sentence per language, for the agent and the citizen. Pure; no I/O."""

from collections.abc import Mapping, Sequence

from parvis.common.town.models import Department, localized
from parvis.router.decide.find_conversation import MatchedBy

_CONTINUED: Mapping[MatchedBy, tuple[str, str]] = {
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


def continued_reason(by: MatchedBy, reference: str, department: Department) -> dict[str, str]:
    """That it goes on with a conversation, and how that is known."""
    fr, en = (said.format(reference=reference) for said in _CONTINUED[by])
    return {
        "fr": f"{fr} ; il va au même service : {localized(department.name, 'fr')}.",
        "en": f"{en}; it goes to the same department: {localized(department.name, 'en')}.",
    }


def followed_reason(
    reference: str, reason: Mapping[str, str] | None = None, *, department: Department | None = None
) -> dict[str, str]:
    """That a new conversation follows a closed one; and why it goes where it goes."""
    fr = f"La demande {reference} est close ; ce message en ouvre une nouvelle, qui lui est liée"
    en = f"The request {reference} is closed; this message opens a new one, which is linked to it"
    if department:
        return {
            "fr": f"{fr}, dans le même service : {localized(department.name, 'fr')}.",
            "en": f"{en}, in the same department: {localized(department.name, 'en')}.",
        }
    told = reason or {}
    return {"fr": f"{fr} : {told.get('fr', '')}", "en": f"{en}: {told.get('en', '')}"}


def drifted_reason(department: Department) -> dict[str, str]:
    """That the words of a message speak for another department than its conversation's."""
    return {
        "fr": f"Ce message semble parler d'autre chose, du ressort du service : {localized(department.name, 'fr')}.",
        "en": f"This message seems to be about something else, a matter of the department: {localized(department.name, 'en')}.",
    }


def unanswered_reason(references: Sequence[str]) -> dict[str, str]:
    """That nobody knows which of several conversations is meant."""
    listed = ", ".join(f"{number}. {reference}" for number, reference in enumerate(references, start=1))
    return {
        "fr": f"Ce message peut concerner plusieurs demandes en cours ({listed}) et notre question est restée sans réponse : "
        "une personne le lit.",
        "en": f"This message may be about several open requests ({listed}) and our question was not answered: a person reads it.",
    }


def given_up_reason() -> dict[str, str]:
    """That no machine could handle it."""
    return {
        "fr": "Ce message n'a pas pu être traité automatiquement : une personne le lit.",
        "en": "This message could not be handled automatically: a person reads it.",
    }
