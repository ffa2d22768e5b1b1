"""Formats the demo's journeys as a table for people and as JSON for programs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parvis.local.free_ports import HOST
from parvis.local.stack import Stack

_HEADINGS = ("contact", "door", "department", "rule", "answered on", "→ department", "→ answer")
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
