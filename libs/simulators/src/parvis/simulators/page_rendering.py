"""Renders the simulators' HTML pages."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import phonenumbers
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from parvis.simulators.page_texts import Language, words

_TEMPLATES = Path(__file__).parent / "templates"
# No scripts and no external requests: the pages show text from citizens and towns.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; frame-src 'self'; form-action 'self'"


def group_digits(number: str) -> str:
    """Format a number for people: "+33 6 39 98 01 02"."""
    prefix, _, digits = number.rpartition(":")
    try:
        parsed = phonenumbers.parse(digits)
    except phonenumbers.NumberParseException:
        return number
    shown = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    return f"{prefix.capitalize()} {shown}" if prefix else shown


def format_time(instant: datetime) -> str:
    """Format the local time, with the date unless it is today."""
    local = instant.astimezone()
    today = local.date() == datetime.now(UTC).astimezone().date()
    return local.strftime("%H:%M:%S" if today else "%d/%m/%Y %H:%M:%S")


def format_size(size_bytes: int) -> str:
    return f"{max(1, round(size_bytes / 1024))} Ko"


_environment = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(spaced=group_digits, clock=format_time, kilobytes=format_size)
_CSS = (_TEMPLATES / "style.css").read_text(encoding="utf-8")


def language_of(request: Request) -> Language:
    """Give the page's language: French, or English with `?lang=en`."""
    return "en" if request.query_params.get("lang") == "en" else "fr"


def _neighbour(request: Request) -> str | None:
    """Give the URL of the other page on the host name of this request."""
    port: int | None = getattr(request.app.state, "neighbour_port", None)
    return None if port is None else f"{request.url.scheme}://{request.url.hostname}:{port}/"


def render_page(
    request: Request, template: str, values: Mapping[str, object], *, refresh: bool = False
) -> HTMLResponse:
    """Render one page in the language of the request."""
    language = language_of(request)
    other: Language = "en" if language == "fr" else "fr"
    paused = request.query_params.get("pause") == "1"
    html = _environment.get_template(template).render(
        css=_CSS,
        t=words(language),
        lang=language,
        refresh_s=4 if refresh and not paused else None,
        pausable=refresh,
        here_path=request.url.path,
        neighbour=_neighbour(request),
        other_language="?" + request.url.include_query_params(lang=other).query,
        toggle_pause="?" + request.url.include_query_params(pause="0" if paused else "1").query,
        **values,
    )
    return HTMLResponse(html, headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"})
