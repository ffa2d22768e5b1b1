"""Renders a service's pages with Jinja2, autoescaped, with translations and dates. Pure once constructed."""

import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from parvis.common.runtime.clock import Clock
from parvis.common.runtime.clock import now as wall_clock
from parvis.common.town.models import Town, localized
from parvis.web.dates import DateFormatter
from parvis.web.static_files import StaticFiles
from parvis.web.translations import Translations

_REFERENCE = re.compile(r"(\bP(?:-[0-9A-Z]{4}){3}\b)")
_SHARED_TEMPLATES = Path(__file__).parent / "templates"


@dataclass
class PageRenderer:
    """Renders the pages of one service.

    Shape:  `folder` is the service's package folder, with `templates/` and `words/`.
    Gives:  render("queue.html", "fr", cases=…). In a template: `t("key", count=3)`, `lang`, `town`, `static("file")`;
            `localized(text)`, `day(at)`, `long_day(at)`, `short_day(at)`, `hour(at)`, `day_and_hour(at)`, `recent(at)`,
            `size(bytes)` in the page's language; the filters `spaced` and `lines`. Import macros `with context`.
    """

    town: Town
    folder: Path
    theme: Path
    clock: Clock = wall_clock
    statics: StaticFiles = field(init=False)
    words: Translations = field(init=False)
    dates: DateFormatter = field(init=False)

    def __post_init__(self) -> None:
        self.statics = StaticFiles.read(self.folder / "static", self.theme)
        self.words = Translations.read(self.folder / "words", languages=self.town.languages)
        self.dates = DateFormatter(self.words, ZoneInfo(self.town.time_zone))
        self._environment = Environment(
            loader=FileSystemLoader([self.folder / "templates", _SHARED_TEMPLATES]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(spaced=group_digits, lines=text_to_html_lines)
        shared: dict[str, Any] = {"town": self.town, "static": self.statics.url}
        self._environment.globals |= shared

    def render(self, template: str, language: str, **values: Any) -> str:
        return self._environment.get_template(template).render(self._in(language) | values)

    def translate(self, key: str, language: str, **values: object) -> str:
        return self.words.translate(key, language, **values)

    def _in(self, language: str) -> dict[str, Any]:
        """The names that a template can use in one language: `t`, and the formats bound to that language."""
        dates = self.dates
        return {
            "lang": language,
            "t": partial(_translate, self.words, language),
            "localized": partial(localized, language=language),
            "day": partial(dates.day, language=language),
            "long_day": partial(dates.long_day, language=language),
            "short_day": partial(dates.short_day, language=language),
            "hour": partial(dates.hour, language=language),
            "day_and_hour": partial(dates.day_and_hour, language=language),
            "recent": partial(dates.recent, language=language, now=self.clock()),
            "size": partial(format_size, words=self.words, language=language),
            "now": self.clock(),
        }


def _translate(words: Translations, language: str, key: str, /, **values: object) -> str:
    return words.translate(key, language, **values)


def group_digits(number: str) -> str:
    """A telephone number as people write it; anything else unchanged."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    form = phonenumbers.PhoneNumberFormat
    national = parsed.country_code == 33
    return phonenumbers.format_number(parsed, form.NATIONAL if national else form.INTERNATIONAL)


def text_to_html_lines(text: str) -> Markup:
    """Escaped text with its line ends as `<br>`. A reference never breaks across lines, because people read it out and type it."""
    return Markup("<br>").join(_keep_references_whole(line) for line in text.splitlines())


def _keep_references_whole(line: str) -> Markup:
    parts = _REFERENCE.split(line)  # every second part is a reference
    return Markup().join(
        Markup('<span class="nowrap">{}</span>').format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )


def format_size(size_bytes: int, words: Translations, language: str) -> str:
    """The size of a file for people, without decimals below a megabyte."""
    if size_bytes < 1000:
        return words.translate("size.bytes", language, count=size_bytes)
    if size_bytes < 1_000_000:
        return words.translate("size.kilobytes", language, count=round(size_bytes / 1000))
    count = f"{size_bytes / 1_000_000:.1f}"
    return words.translate("size.megabytes", language, count=count.replace(".", ",") if language == "fr" else count)
