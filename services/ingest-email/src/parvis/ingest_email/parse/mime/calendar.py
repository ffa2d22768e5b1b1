"""Summarizes the events of an iCalendar part in one line each; METHOD is ignored. Pure; no I/O."""

import re
from collections.abc import Mapping
from datetime import datetime

_UNFOLD = re.compile(r"\n[ \t]")
_NAME = re.compile(r"[A-Za-z-]{1,40}(?=[;:])")
_ZONE = re.compile(r"TZID=\"?([^;:\"]{1,60})", re.IGNORECASE)
_ESCAPED = re.compile(r"\\([nN,;\\])")
_READ_CHARACTERS = 200_000
_MOST_EVENTS = 5
_PARAMETERS_CHARACTERS = 2000


def summarize_events(text: str) -> str:
    """`[Name | 2026-11-23 18:00 – 20:00 Europe/Paris | Place]`, a line for each event; empty when there is none."""
    events: list[Mapping[str, tuple[str, str]]] = []
    event: dict[str, tuple[str, str]] | None = None
    nested = 0
    for line in _UNFOLD.sub("", text[:_READ_CHARACTERS]).split("\n"):
        name, parameters, value = _parse_property(line)
        if name == "BEGIN" and value.upper() in ("VEVENT", "VTODO"):
            event, nested = {}, 0
        elif name == "BEGIN" and event is not None:
            nested += 1  # an alarm has its own SUMMARY
        elif name == "END" and event is not None and nested:
            nested -= 1
        elif name == "END" and event is not None:
            events.append(event)
            event = None
        elif event is not None and not nested:
            event.setdefault(name, (value, parameters))
    return "\n".join(filter(None, map(_event_line, events[:_MOST_EVENTS])))


def _parse_property(line: str) -> tuple[str, str, str]:
    """Split a content line into name, parameters and value; a colon between quotes does not separate them."""
    match = _NAME.match(line)
    if not match:
        return "", "", ""
    is_quoted = False
    for at in range(match.end(), min(len(line), _PARAMETERS_CHARACTERS)):
        is_quoted ^= line[at] == '"'
        if line[at] == ":" and not is_quoted:
            return match[0].upper(), line[match.end() : at], line[at + 1 :].strip()
    return "", "", ""


def _event_line(event: Mapping[str, tuple[str, str]]) -> str:
    values = (_property_text(event, "SUMMARY"), _event_time(event), _property_text(event, "LOCATION"))
    joined = " | ".join(value for value in values if value)
    return f"[{joined}]" if joined else ""


def _property_text(event: Mapping[str, tuple[str, str]], name: str) -> str:
    value = _ESCAPED.sub(lambda match: " " if match[1] in "nN" else match[1], event.get(name, ("", ""))[0])
    return " ".join(value.split())[:200]


def _event_time(event: Mapping[str, tuple[str, str]]) -> str:
    start, zone = _date_time(event, "DTSTART")
    end, _ = _date_time(event, "DTEND")
    if not start:
        return ""
    if end and start[:10] == end[:10] and len(end) > 10:
        end = end[11:]
    return " ".join(filter(None, [f"{start} – {end}" if end and end != start else start, zone]))


def _date_time(event: Mapping[str, tuple[str, str]], name: str) -> tuple[str, str]:
    value, parameters = event.get(name, ("", ""))
    zone = _ZONE.search(parameters)
    for shape, shown in (("%Y%m%dT%H%M%S", "%Y-%m-%d %H:%M"), ("%Y%m%d", "%Y-%m-%d")):
        try:
            instant = datetime.strptime(value.rstrip("Z"), shape)  # noqa: DTZ007 (its zone is shown beside it)
        except ValueError:
            continue
        return instant.strftime(shown), "UTC" if value.endswith("Z") else zone[1] if zone else ""
    return value[:40], ""
