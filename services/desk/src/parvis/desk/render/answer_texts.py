"""Fills in the town's answer texts for one case. Pure; no I/O."""

from collections.abc import Sequence
from datetime import datetime

from parvis.common.town.answer_texts import AnswerText, FilledAnswerText, fill_answer_text
from parvis.common.town.models import TownConfig, localized
from parvis.common.town.template_variables import format_day, standard_variables
from parvis.desk.models.case import NO_DATE, Agent, Case


def fill_answer_texts(
    answers: Sequence[AnswerText],
    case: Case,
    town_config: TownConfig,
    *,
    agent: Agent,
    language: str,
    page_language: str,
    at: datetime,
) -> tuple[FilledAnswerText, ...]:
    """The texts for this case's department and procedure: titles in the agent's language, texts in the citizen's."""
    town = town_config.town
    procedure = town_config.procedure(case.procedure)
    values = standard_variables(
        town_config, department=case.department, language=language, reference=case.reference
    ) | {
        "citizen": case.citizen,
        "agent": agent.name,
        "procedure": localized(procedure.title, language) if procedure else "",
        "received_on": format_day(case.received_at, town, language),
        "answer_due_on": format_day(case.answer_due_at, town, language) if case.answer_due_at < NO_DATE else "",
        "today": format_day(at, town, language),
    }
    return tuple(
        FilledAnswerText(
            answer.slug,
            localized(answer.title, page_language),
            fill_answer_text(localized(answer.text, language), values).strip(),
            answer.then,
        )
        for answer in answers
        if answer.fits(case.department, case.procedure)
    )
