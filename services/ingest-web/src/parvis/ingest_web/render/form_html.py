"""A form's state in, its pages out: to fill in, to look at once more, to keep. Pure; no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from parvis.common.town.forms import FileField
from parvis.common.town.models import Department, Procedure, TownConfig, localized
from parvis.ingest_web.models.form import (
    INPUTS,
    NAME,
    NO_REPLY,
    REPLY,
    REPLY_CHANNELS,
    TRAP,
    TYPE_NAMES,
    File,
    Filled,
    Problem,
    reply_address,
)
from parvis.web.answers import answer_in_words
from parvis.web.pages import PageRenderer, format_size, group_digits

_BAD_NOTICES = ("unavailable", "busy", "work", "too_heavy")


@dataclass(frozen=True)
class Shown:
    """A form as it is to be shown: empty, or with what was typed and what is to be said about it.

    `notice` is a key of the words. With `wait_s` one must wait before sending; `work_bits` lets the browser do a sum instead.
    """

    procedure: Procedure
    department: Department
    language: str
    once: str
    csrf: str
    most_mb: int
    switch: str | None = None
    fields: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    problems: Mapping[str, Problem] = field(default_factory=dict[str, Problem])
    kept: Mapping[str, Sequence[tuple[File, str]]] = field(default_factory=dict[str, Sequence[tuple[File, str]]])
    notice: str | None = None
    reference: str | None = None
    seen: str = ""
    proof: str = ""
    waited: str = ""
    wait_s: int = 0
    work_bits: int = 0


@dataclass(frozen=True)
class Row:
    """One question on the page of the last look. `anchor` is the input that the way back leads to."""

    anchor: str
    question: str
    lines: tuple[str, ...]


def form_page(pages: PageRenderer, shown: Shown) -> str:
    """The page of one procedure."""
    return pages.render(
        "form.html",
        shown.language,
        **_common(shown),
        typed=shown.fields,
        problems={name: sentence(pages, problem, shown.language) for name, problem in shown.problems.items()},
        reply_channels=REPLY_CHANNELS,
        no_reply=NO_REPLY,
        today=pages.dates.today(pages.clock()),
        types_in_words=types_in_words,
    )


def review_page(pages: PageRenderer, shown: Shown, filled: Filled) -> str:
    """The last look before sending: every answer, with a way back to it; everything goes with the form in hidden inputs."""
    hidden = [(name, value) for name, values in shown.fields.items() for value in values if _is_carried(name)]
    return pages.render(
        "review.html", shown.language, **_common(shown), rows=_rows(pages, shown, filled), hidden=hidden
    )


def _common(shown: Shown) -> dict[str, Any]:
    return {
        "shown": shown,
        "procedure": shown.procedure,
        "department": shown.department,
        "switch": shown.switch,
        "names": INPUTS,
        "reply_address": reply_address,
        "notice_bad": shown.notice in _BAD_NOTICES,
        "has_files": any(isinstance(f, FileField) for f in shown.procedure.form),
    }


def _is_carried(name: str) -> bool:
    return not name.startswith("_") or name == TRAP


def _rows(pages: PageRenderer, shown: Shown, filled: Filled) -> list[Row]:
    language = shown.language
    rows: list[Row] = []
    for f in shown.procedure.form:
        if isinstance(f, FileField):
            said = [
                f"{file.name} ({format_size(file.size_bytes, pages.words, language)})"
                for file in filled.files.get(f.name, ())
            ]
        else:
            answer = filled.answers.get(f.name, "")
            said = answer_in_words(f, answer, language).splitlines() if answer else []
        rows.append(Row(f"f-{f.name}", localized(f.label, language), tuple(said)))
    rows.append(Row(f"f-{NAME}", pages.translate("form_page.name", language), (filled.name,) if filled.name else ()))
    channel = filled.reply.channel if filled.reply else NO_REPLY
    address = filled.reply.address if filled.reply else ""
    how = [pages.translate(f"reply_by.{channel}", language), *(group_digits(line) for line in address.splitlines())]
    rows.append(Row(f"f-{REPLY}", pages.translate("form_page.reply", language), tuple(how)))
    return rows


def receipt_page(pages: PageRenderer, town_config: TownConfig, **values: Any) -> str:
    """What a citizen keeps: the reference, and what happens next."""
    procedure: Procedure = values["procedure"]
    department = town_config.departments[town_config.current_department(procedure.department)]
    return pages.render("receipt.html", department=department, **values)


def sentence(pages: PageRenderer, problem: Problem, language: str) -> str:
    """What is wrong, and what to do, in one sentence."""
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
