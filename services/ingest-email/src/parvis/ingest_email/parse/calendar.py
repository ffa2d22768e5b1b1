"""An invitation in, one line that says what, when and where out. Its METHOD is not obeyed, its links are not followed. Pure; no I/O."""

import re
from collections.abc import Mapping
from datetime import datetime

_UNFOLD = re.compile(r"\n[ \t]")
_PROPERTY = re.compile(
    r"^([A-Za-z-]{1,40})((?:;[^:\n\"]{0,200}|;[^:\n]{0,100}\"[^\"\n]{0,200}\"[^:\n]{0,100}){0,10}):(.{0,2000})$"
)
_ZONE = re.compile(r"TZID=\"?([^;:\"]{1,60})", re.IGNORECASE)
_ESCAPED = re.compile(r"\\([nN,;\\])")
_READ_CHARACTERS = 200_000
_MOST_EVENTS = 5


def summary(text: str) -> str:
    """`[Name | 2026-11-23 18:00 – 20:00 Europe/Paris | Place]`, a line for each event; empty when there is none."""
    events: list[Mapping[str, tuple[str, str]]] = []
    event: dict[str, tuple[str, str]] | None = None
    nested = 0
    for line in _UNFOLD.sub("", text[:_READ_CHARACTERS]).split("\n"):
        found = _PROPERTY.match(line)
        if not found:
            continue
        name, value = found[1].upper(), found[3].strip()
        if name == "BEGIN" and value.upper() in ("VEVENT", "VTODO"):
            event, nested = {}, 0
        elif name == "BEGIN" and event is not None:
            nested += 1  # an alarm has a summary of its own
        elif name == "END" and event is not None and nested:
            nested -= 1
        elif name == "END" and event is not None:
            events.append(event)
            event = None
        elif event is not None and not nested:
            event.setdefault(name, (value, found[2]))
    return "\n".join(filter(None, map(_line, events[:_MOST_EVENTS])))


def _line(event: Mapping[str, tuple[str, str]]) -> str:
    said = (_words(event, "SUMMARY"), _when(event), _words(event, "LOCATION"))
    joined = " | ".join(one for one in said if one)
    return f"[{joined}]" if joined else ""


def _words(event: Mapping[str, tuple[str, str]], name: str) -> str:
    value = _ESCAPED.sub(lambda found: " " if found[1] in "nN" else found[1], event.get(name, ("", ""))[0])
    return " ".join(value.split())[:200]


def _when(event: Mapping[str, tuple[str, str]]) -> str:
    start, zone = _instant(event, "DTSTART")
    end, _ = _instant(event, "DTEND")
    if not start:
        return ""
    if end and start[:10] == end[:10] and len(end) > 10:
        end = end[11:]
    return " ".join(filter(None, [f"{start} – {end}" if end and end != start else start, zone]))


def _instant(event: Mapping[str, tuple[str, str]], name: str) -> tuple[str, str]:
    value, parameters = event.get(name, ("", ""))
    zone = _ZONE.search(parameters)
    for shape, shown in (("%Y%m%dT%H%M%S", "%Y-%m-%d %H:%M"), ("%Y%m%d", "%Y-%m-%d")):
        try:
            instant = datetime.strptime(value.rstrip("Z"), shape)  # noqa: DTZ007 (its zone is shown beside it)
        except ValueError:
            continue
        return instant.strftime(shown), "UTC" if value.endswith("Z") else zone[1] if zone else ""
    return value[:40], ""
