"""Renders the pages of a form: to fill in, to review, to keep as a receipt. Pure; no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from parvis.common.town.form_fields import FileField
from parvis.common.town.models import Department, Procedure, TownConfig, localized
from parvis.ingest_web.models.form import (
    HONEYPOT,
    INPUT_NAMES,
    NAME,
    NO_REPLY,
    REPLY,
    REPLY_CHANNELS,
    TYPE_NAMES,
    FilledForm,
    FormFile,
    FormProblem,
    reply_address_input,
)
from parvis.web.format_form_answers import format_answer
from parvis.web.pages import PageRenderer, format_size, group_digits

_BAD_NOTICES = ("unavailable", "busy", "work", "too_heavy", "too_much")


@dataclass(frozen=True)
class FormView:
    """A form as the page shows it: empty, or with the typed text, its problems and a notice.

    `notice` is the key of a sentence. `wait_s` is the wait before sending; with `work_bits` a proof of work replaces it.
    """

    procedure: Procedure
    department: Department
    language: str
    once: str
    csrf: str
    most_mb: int
    language_switch_url: str | None = None
    fields: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    problems: Mapping[str, FormProblem] = field(default_factory=dict[str, FormProblem])
    stored: Mapping[str, Sequence[tuple[FormFile, str]]] = field(
        default_factory=dict[str, Sequence[tuple[FormFile, str]]]
    )
    notice: str | None = None
    reference: str | None = None
    reviewed: str = ""
    proof: str = ""
    waited: str = ""
    wait_s: int = 0
    work_bits: int = 0


@dataclass(frozen=True)
class ReviewRow:
    """One question on the review page. `anchor` is the input to which its « Modifier » leads."""

    anchor: str
    question: str
    lines: tuple[str, ...]


def form_page(pages: PageRenderer, shown: FormView) -> str:
    """The page of one procedure."""
    return pages.render(
        "form.html",
        shown.language,
        **_common(shown),
        typed=shown.fields,
        problems={name: problem_sentence(pages, problem, shown.language) for name, problem in shown.problems.items()},
        reply_channels=REPLY_CHANNELS,
        no_reply=NO_REPLY,
        today=pages.dates.today(pages.clock()),
        types_in_words=types_in_words,
    )


def review_page(pages: PageRenderer, shown: FormView, filled: FilledForm) -> str:
    """The review page: every answer with a button to change it. Hidden inputs carry the whole form."""
    hidden = [(name, value) for name, values in shown.fields.items() for value in values if _is_carried(name)]
    return pages.render(
        "review.html", shown.language, **_common(shown), rows=_rows(pages, shown, filled), hidden=hidden
    )


def _common(shown: FormView) -> dict[str, Any]:
    return {
        "shown": shown,
        "procedure": shown.procedure,
        "department": shown.department,
        "language_switch_url": shown.language_switch_url,
        "names": INPUT_NAMES,
        "reply_address": reply_address_input,
        "notice_bad": shown.notice in _BAD_NOTICES,
        "has_files": any(isinstance(f, FileField) for f in shown.procedure.form),
    }


def _is_carried(name: str) -> bool:
    return not name.startswith("_") or name == HONEYPOT


def _rows(pages: PageRenderer, shown: FormView, filled: FilledForm) -> list[ReviewRow]:
    language = shown.language
    rows: list[ReviewRow] = []
    for f in shown.procedure.form:
        if isinstance(f, FileField):
            lines = [
                f"{file.name} ({format_size(file.size_bytes, pages.words, language)})"
                for file in filled.files.get(f.name, ())
            ]
        else:
            answer = filled.answers.get(f.name, "")
            lines = format_answer(f, answer, language).splitlines() if answer else []
        rows.append(ReviewRow(f"f-{f.name}", localized(f.label, language), tuple(lines)))
    rows.append(
        ReviewRow(f"f-{NAME}", pages.translate("form_page.name", language), (filled.name,) if filled.name else ())
    )
    channel = filled.reply.channel if filled.reply else NO_REPLY
    address = filled.reply.address if filled.reply else ""
    how = [pages.translate(f"reply_by.{channel}", language), *(group_digits(line) for line in address.splitlines())]
    rows.append(ReviewRow(f"f-{REPLY}", pages.translate("form_page.reply", language), tuple(how)))
    return rows


def receipt_page(pages: PageRenderer, town_config: TownConfig, **values: Any) -> str:
    """The receipt: the reference, and what happens next."""
    procedure: Procedure = values["procedure"]
    department = town_config.departments[town_config.current_department(procedure.department)]
    return pages.render("receipt.html", department=department, **values)


def problem_sentence(pages: PageRenderer, problem: FormProblem, language: str) -> str:
    """The problem and what to do about it, in one sentence."""
    values = dict(problem.values)
    if problem.label:
        values["label"] = localized(problem.label, language)
    if "day" in values:
        values["day"] = pages.dates.day(values["day"], language)  # pyright: ignore[reportArgumentType] (a date)
    if "accept" in values:
        values["accept"] = types_in_words(values["accept"])  # pyright: ignore[reportArgumentType] (media types)
    return pages.translate(f"problem_with.{problem.key}", language, **values)


def types_in_words(media_types: Sequence[str]) -> str:
    return ", ".join(TYPE_NAMES.get(media_type, media_type) for media_type in media_types)
