"""Numbers, days and a department's coordinates in, the words that templates need out, in the citizen's language. Pure."""

from datetime import datetime
from zoneinfo import ZoneInfo

import phonenumbers

from parvis.common.town.models import Town, TownConfig, localized

_MONTHS = {
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split(),  # noqa: SIM905
    "en": "January February March April May June July August September October November December".split(),  # noqa: SIM905
}


def format_phone(number: str) -> str:
    """A number as people in its country write it: `05 36 49 01 20`."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)


def format_day(instant: datetime, town: Town, language: str) -> str:
    """The day of an instant in the town: `2 mars 2026`, `2 March 2026`; ISO in languages we have no months of."""
    local = instant.astimezone(ZoneInfo(town.time_zone))
    months = _MONTHS.get(language)
    if not months:
        return local.date().isoformat()
    day = "1er" if language == "fr" and local.day == 1 else str(local.day)
    return f"{day} {months[local.month - 1]} {local.year}"


def standard_variables(town_config: TownConfig, *, department: str, language: str, reference: str) -> dict[str, str]:
    """What every template may say about the town, the department in charge and the reference."""
    key = (id(town_config), department, language)  # pydantic's hash goes through every field
    kept = _kept.get(key)
    if kept is None or kept[0] is not town_config:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        kept = _kept[key] = (town_config, _coordinates(town_config, department, language))
    return kept[1] | {"reference": reference}


_MOST_KEPT = 2048  # a department and a language each
_kept: dict[tuple[int, str, str], tuple[TownConfig, dict[str, str]]] = {}


def _coordinates(town_config: TownConfig, department: str, language: str) -> dict[str, str]:
    town = town_config.town
    found = town_config.departments[town_config.current_department(department)]
    return {
        "reference": "",
        "town": localized(town.name, language),
        "town_phone": format_phone(town.phone),
        "town_web": f"https://{town.web_name}",
        "department": localized(found.name, language),
        "department_phone": format_phone(found.phone),
        "department_email": found.email,
        "department_address": ", ".join(found.address),
        "department_hours": localized(found.opening_hours, language),
    }
