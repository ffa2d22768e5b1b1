"""Builds the CaseUpdated event that tells the router and the citizen how a case stands. Pure; no I/O."""

from datetime import datetime

from parvis.common.contract.contact import ConversationId
from parvis.common.contract.routing.decisions import CaseUpdated
from parvis.common.town.models import TownConfig, localized
from parvis.desk.models.case import NO_DATE, Case

PUBLIC_LINES: dict[str, dict[str, str]] = {
    "open": {
        "fr": "Votre demande est au service {department}.",
        "en": "Your request is with the department {department}.",
    },
    "taken": {
        "fr": "Un agent du service {department} s'occupe de votre demande.",
        "en": "Someone in the department {department} is dealing with your request.",
    },
    "waiting": {
        "fr": "Le service {department} vous a répondu et attend votre retour.",
        "en": "The department {department} has answered you and waits to hear from you.",
    },
    "closed": {
        "fr": "Le service {department} a traité votre demande.",
        "en": "The department {department} has dealt with your request.",
    },
}


def build_case_updated(case: Case, town_config: TownConfig, at: datetime) -> CaseUpdated:
    """The public state of a case: department, state, and one line in each language; never an agent's name."""
    department = town_config.departments[town_config.current_department(case.department)]
    lines = PUBLIC_LINES["taken" if case.state == "open" and case.taken_by else case.state]
    return CaseUpdated.model_validate(
        {
            "conversation_id": ConversationId(case.conversation_id),
            "reference": case.reference,
            "department": case.department,
            "state": case.state,
            "public_line": {
                language: localized(lines, language).format(department=localized(department.name, language))
                for language in town_config.town.languages
            },
            "answer_due_at": case.answer_due_at if case.answer_due_at < NO_DATE else None,
            "at": at,
        }
    )
