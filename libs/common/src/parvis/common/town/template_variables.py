"""Fills the variables that every template may use: town, department, reference, and dates in words. Pure; no I/O."""

from datetime import datetime
from zoneinfo import ZoneInfo

from parvis.common.town.models import Town, TownConfig

_MONTHS = {
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split(),  # noqa: SIM905
    "en": "January February March April May June July August September October November December".split(),  # noqa: SIM905
}


def format_day(instant: datetime, town: Town, language: str) -> str:
    """The day of an instant in the town: `2 mars 2026`, `2 March 2026`; ISO 8601 in a language whose months we do not know."""
    local = instant.astimezone(ZoneInfo(town.time_zone))
    months = _MONTHS.get(language)
    if not months:
        return local.date().isoformat()
    day = "1er" if language == "fr" and local.day == 1 else str(local.day)
    return f"{day} {months[local.month - 1]} {local.year}"


def standard_variables(town_config: TownConfig, *, department: str, language: str, reference: str) -> dict[str, str]:
    """The variables that every template may use. A retired department is replaced by its successor, an unknown one by triage."""
    key = (town_config.current_department(department), town_config.town.supported_language(language))
    return {**town_config.department_variables[key], "reference": reference}
