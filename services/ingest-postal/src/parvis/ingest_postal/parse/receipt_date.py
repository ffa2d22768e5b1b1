"""Determines when a letter was received from the batch cover sheet or the mail room's note. Pure; no I/O."""

import json
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from parvis.ingest_postal.codes.sheet_codes import SheetCode, parse_stamp

NOTE_LIMIT_BYTES = 4096
_DOUBTFUL = "stamp-doubtful"


@dataclass(frozen=True)
class ScanArrival:
    """When a file arrived, and the mail room's note about it."""

    first_seen_at: datetime
    note: bytes | None = None
    remarks: tuple[str, ...] = ()


def determine_receipt_date(
    arrival: ScanArrival, cover_sheet: SheetCode | None, zone: ZoneInfo
) -> tuple[datetime, tuple[str, ...]]:
    """Choose the time of receipt: the mail room's date, or else the time at which the file arrived.

    Gives: the time, and the remark `stamp-doubtful` when a date was given and cannot be used. A batch cover sheet takes precedence
           over the note, and its date counts only with our signature: a citizen could print such a sheet.
    """
    stated = _read_note(arrival.note) if arrival.note is not None else None
    if cover_sheet is not None:
        stated = (cover_sheet.received or "") if cover_sheet.is_signed else ""
    if stated is None:
        return arrival.first_seen_at, ()
    stamped_at = parse_stamp(stated, seen_at=arrival.first_seen_at, zone=zone)
    return (stamped_at, ()) if stamped_at else (arrival.first_seen_at, (_DOUBTFUL,))


def _read_note(note: bytes) -> str:
    """The date in `{"received_at": "2026-11-23"}`; empty when the note cannot be read."""
    try:
        fields = json.loads(note)
    except (ValueError, RecursionError):
        return ""
    stated = fields.get("received_at", fields.get("received")) if isinstance(fields, dict) else None
    return stated if isinstance(stated, str) else ""
