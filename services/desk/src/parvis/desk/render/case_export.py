"""Renders cases as rows of CSV (RFC 4180) or JSON, so that no cell is a formula to a spreadsheet. Pure; no I/O."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TypeAlias
from zoneinfo import ZoneInfo

from parvis.desk.models.case import NO_DATE, URGENCY_RANKS, Case

Cell: TypeAlias = str | int | float | bool | datetime | list[str] | None
ExportRow: TypeAlias = dict[str, Cell]
Labels: TypeAlias = Mapping[str, Mapping[str, str]]
"""Words for values, by column and value; a value without words stays as it is."""

COLUMNS = (
    "reference", "conversation_id", "department", "state", "urgency", "channel", "procedure", "subject", "citizen", "taken_by",
    "received_at", "changed_at", "receipt_due_at", "answer_due_at", "silence_at", "silence_means", "snoozed_until", "contacts",
    "undelivered", "tags", "place", "latitude", "longitude",
)  # fmt: skip
NO_LABELS: Labels = MappingProxyType({})
BYTE_ORDER_MARK = "\ufeff"  # or Excel takes UTF-8 for the machine's old code page
_URGENCIES = {rank: name for name, rank in URGENCY_RANKS.items()}
# What spreadsheets take for the beginning of a formula, the full-width forms too (OWASP, "CSV Injection").
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_LINE_END = "\r\n"


def export_row(case: Case) -> ExportRow:
    """The cells of one case, by column: all that an export gives away of it."""
    row: ExportRow = {name: getattr(case, name) for name in COLUMNS}
    row["urgency"] = _URGENCIES[case.urgency]
    row["answer_due_at"] = case.answer_due_at if case.answer_due_at < NO_DATE else None
    return row


def damaged_row(conversation_id: str, reference: str) -> ExportRow:
    """The row of a case that cannot be read: its ids, and nothing else."""
    return dict.fromkeys(COLUMNS) | {"conversation_id": conversation_id, "reference": reference, "state": "damaged"}


def csv_head(labels: Labels = NO_LABELS) -> str:
    """The byte order mark and the line of the columns' names."""
    names = labels.get("", {})
    return BYTE_ORDER_MARK + _line(names.get(name, name) for name in COLUMNS)


def csv_lines(rows: Iterable[ExportRow], zone: ZoneInfo, labels: Labels = NO_LABELS) -> str:
    """A line for each row; instants in the town's time, without an offset, which spreadsheets do not read."""
    return "".join(_line(_text(row[name], zone, labels.get(name, {})) for name in COLUMNS) for row in rows)


def _text(cell: Cell, zone: ZoneInfo, words: Mapping[str, str]) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return f"{cell.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    if isinstance(cell, list):
        return safe_text(", ".join(cell))
    if isinstance(cell, bool):
        return words.get(str(cell).lower(), str(cell).lower())
    return safe_text(words.get(cell, cell)) if isinstance(cell, str) else str(cell)  # a number may begin with a minus


def safe_text(text: str) -> str:
    """The text, after an apostrophe if a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _line(cells: Iterable[str]) -> str:
    """All cells stand in quotes: a semicolon in one begins no other where the semicolon is the separator."""
    return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells) + _LINE_END


def json_items(rows: Sequence[ExportRow], *, is_first: bool) -> str:
    """The rows as members of an array that the caller opens and closes."""
    items = [json.dumps(row, default=datetime.isoformat, ensure_ascii=False) for row in rows]
    return ("" if is_first or not items else ",\n") + ",\n".join(items)
