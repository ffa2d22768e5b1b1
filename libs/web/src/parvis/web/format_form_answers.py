"""Formats the answers of a form as questions and answers for people. Pure; no I/O."""

from collections.abc import Mapping
from datetime import date

from parvis.common.town.form_fields import ChoiceField, ConsentField, DateField, FormField, PhoneField
from parvis.common.town.models import TownConfig, localized
from parvis.web.pages import group_digits

_YES = {"fr": "oui", "en": "yes"}


def format_answer(form_field: FormField, answer: str, language: str) -> str:
    """One answer: the labels of a choice, a date or telephone number as people write it; anything else as it was typed."""
    match form_field:
        case ChoiceField():
            labels = {option.value: localized(option.label, language) for option in form_field.options}
            return ", ".join(labels.get(value, value) for value in answer.split(","))
        case DateField():
            return _format_day(answer, language)
        case PhoneField():
            return group_digits(answer)
        case ConsentField():
            return localized(_YES, language) if answer == "yes" else answer
        case _:
            return answer


def format_answers(
    town_config: TownConfig, procedure: str | None, answers: Mapping[str, str], language: str
) -> tuple[tuple[str, str], ...]:
    """All answers with their questions, in the order of the form. An answer whose field no longer exists keeps the field's name."""
    known_procedure = town_config.procedure(procedure)
    fields = {f.name: f for f in known_procedure.form} if known_procedure else {}
    listed = [
        (localized(f.label, language), format_answer(f, answers[n], language))
        for n, f in fields.items()
        if n in answers
    ]
    return (*listed, *((name, answer) for name, answer in answers.items() if name not in fields))


def _format_day(answer: str, language: str) -> str:
    """04/05/2019; in English `4 May 2019`, as day and month stand in either order there."""
    try:
        day = date.fromisoformat(answer)
    except ValueError:
        return answer
    return f"{day.day} {day:%b} {day.year}" if language == "en" else f"{day:%d/%m/%Y}"
