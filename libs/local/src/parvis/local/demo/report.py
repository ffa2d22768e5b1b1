"""Formats the demo's journeys as a table for people and as JSON for programs."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from parvis.common.town.loading import load_town_config
from parvis.common.town.models import localized
from parvis.local.free_ports import HOST
from parvis.local.stack import Stack

_HEADINGS = ("channel", "front door", "department", "rule", "answered on", "received → department", "→ answer")
_DOORS = {
    "sms": "ingest-sms",
    "email": "ingest-email",
    "web": "ingest-web",
    "post": "ingest-postal",
    "counter": "desk",
    "phone": "desk",
}


def render_table(rows: Sequence[dict[str, Any]]) -> str:
    """Render one line per contact."""
    lines = [_HEADINGS, *(_line(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    shown = ["  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([shown[0], "  ".join("─" * width for width in widths), *shown[1:]])


def render_addresses(stack: Stack) -> str:
    """List the pages and folders of the running stack."""
    pages = (
        (stack.url("desk"), "the desk: choose a name and a department"),
        (stack.url("ingest-web"), "the town's forms"),
        (f"http://{HOST}:{stack.port('outside.twilio')}", "the citizens' telephones; send an SMS to the town"),
        (f"http://{HOST}:{stack.port('outside.mail-web')}", "their mailboxes; send a mail to the town"),
        (f"http://{HOST}:{stack.port('outside.mail-web')}/letters", "the letters at the print shop"),
        (stack.env["PARVIS_INGEST_POSTAL_FOLDER"] + "/ready", "folder for scans: PDF, TIFF, PNG, JPEG"),
    )
    lines = [f"  {address:<34} {description}" for address, description in pages]
    return "\n".join(["The stack stays up. Ctrl-C stops it.", "", *lines, ""])


def render_next_steps(stack: Stack, open_cases: Mapping[str, int], reference: str) -> str:
    """Say as whom to enter the desk, and give one operator's command to copy."""
    departments = load_town_config(Path(stack.env["PARVIS_CONFIG_DIR"])).departments
    ranked = sorted(open_cases.items(), key=lambda row: -row[1])
    named = [f"{localized(departments[slug].name, 'fr')}: {_cases(count)}" for slug, count in ranked]
    var = stack.plan.var
    begin = "" if var == Path("var").absolute() else f"PARVIS_VAR={shlex.quote(str(var))} "
    lines = [
        f"On the desk {_cases(sum(open_cases.values()))} wait: one is late, one a danger, one answer came back, one letter cannot be read.",
        f"Enter under any name as {named[0]}. Others: {'; '.join(named[1:])}.",
        "",
        "Where the first message went, in another terminal:",
        "",
        f"  {begin}.venv/bin/parvis trace {reference}",
        "",
    ]
    return "\n".join(lines)


def _cases(count: int) -> str:
    return f"{count} case{'s' if count != 1 else ''}"


def write_journeys(rows: Sequence[dict[str, Any]], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(list(rows), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    answered = f"{row['answered_on'] or '–'} ({row['status']})"
    return (
        row["channel"],
        _DOORS.get(row["channel"], "–"),
        row["department"] or "–",
        row["rule"] or "–",
        answered,
        _duration(row["to_department_ms"]),
        _duration(row["to_answer_ms"]),
    )


def _duration(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "–"
    return f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
