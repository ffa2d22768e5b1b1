"""Loads `answers.yaml`, the texts that agents insert into answers, and fills in their variables."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from parvis.common.contract.contact import DepartmentSlug
from parvis.common.town.config_types import ConfigModel, LocalText, Slug
from parvis.common.town.models import TownConfig
from parvis.common.town.yaml_documents import YamlDocument, closest_match, read_document, validate_document

VARIABLES = frozenset(
    [
        "reference",
        "town",
        "town_phone",
        "town_web",
        "department",
        "department_phone",
        "department_email",
        "department_address",
        "department_hours",
        "citizen",
        "agent",
        "procedure",
        "received_on",
        "answer_due_on",
        "today",
    ]
)
# `{citizen}`, or `{citizen|Madame, Monsieur}` with the text that stands in its place when it has no value.
_VARIABLE = re.compile(r"\{([a-z_]+)(?:\|([^{}\n]*))?\}")
_BRACES = re.compile(r"\{[^{}\n]*\}?")


class AnswerText(ConfigModel):
    """A text that agents insert into an answer, and change there."""

    slug: Slug
    title: LocalText
    departments: tuple[DepartmentSlug, ...] = Field(default=(), description="whose agents see it; all without one")
    procedures: tuple[Slug, ...] = Field(default=(), description="in whose cases it is shown; all without one")
    then: Literal["waiting", "closed", "open"] = Field(default="waiting", description="what the case does afterwards")
    text: LocalText

    def fits(self, department: str, procedure: str | None) -> bool:
        return department in (self.departments or (department,)) and procedure in (self.procedures or (procedure,))


class _AnswersFile(ConfigModel):
    answers: tuple[AnswerText, ...] = Field(min_length=1)


@dataclass(frozen=True)
class FilledAnswerText:
    """An answer text for one case: its variables filled in where they have a value."""

    slug: str
    title: str
    text: str
    then: str


def load_answer_texts(path: Path, town_config: TownConfig) -> tuple[AnswerText, ...]:
    """Read and check `answers.yaml` in the configuration folder. Nothing if there is no such file.

    Raises: Misconfigured, with file, line and fix: an unknown department, procedure or variable, a slug used twice.
    """
    file = path / "answers.yaml"
    if not file.is_file():
        return ()
    document = read_document(file)
    answers = validate_document(_AnswersFile, document, context={"languages": town_config.town.languages}).answers
    slugs = [answer.slug for answer in answers]
    for index, answer in enumerate(answers):
        if answer.slug in slugs[:index]:
            fact = f"two answers have the slug {answer.slug!r}"
            raise document.error(fact, "answers", index, "slug", mend="Rename one of them.")
        _check_names(document, index, "departments", answer.departments, town_config.departments)
        _check_names(document, index, "procedures", answer.procedures, town_config.procedures)
        for language, text in answer.text.items():
            names = {_name_in(braces) for braces in _BRACES.findall(text)}
            _check_names(document, index, "text", names, VARIABLES, language)
    return answers


def fill_answer_text(text: str, values: Mapping[str, str]) -> str:
    """Fill in the variables in one pass; one without a value gets its own fallback, or stays for the agent to see."""
    return _VARIABLE.sub(lambda found: values.get(found[1], "") or (found[0] if found[2] is None else found[2]), text)


def has_open_variable(text: str) -> bool:
    """Whether a text still has a variable that nobody has filled in."""
    return _VARIABLE.search(text) is not None


def _name_in(braces: str) -> str:
    found = _VARIABLE.fullmatch(braces)
    return found[1] if found else braces


def _check_names(
    document: YamlDocument, index: int, key: str, names: Collection[str], known: Collection[str], *more: str
) -> None:
    for name in names:
        if name not in known:
            raise document.error(
                f"{name!r} is not known", "answers", index, key, *more, mend=closest_match(name, known)
            )
