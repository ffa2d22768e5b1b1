"""What the mail room wrote beside a scan, or printed before it, in; when the letter was received, out. Pure; no I/O."""

import json
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from parvis.ingest_postal.rules import Sheet, stamped_at

NOTE_LIMIT_BYTES = 4096
_DOUBTFUL = "stamp-doubtful"


@dataclass(frozen=True)
class Arrival:
    """How a file came."""

    seen_at: datetime
    note: bytes | None = None
    remarks: tuple[str, ...] = ()


def received_at(arrival: Arrival, stamp: Sheet | None, zone: ZoneInfo) -> tuple[datetime, tuple[str, ...]]:
    """The mail room's stamp where there is one that can be; else when the file came, with a remark on a stamp that cannot be.

    Gives: the sheet in the pile goes before the note beside the file: it holds for the letters behind it only. A sheet's date counts
           when we signed it: whoever writes a letter could print one.
    """
    told = _told(arrival.note) if arrival.note is not None else None
    if stamp is not None:
        told = (stamp.received or "") if stamp.is_signed else ""
    if told is None:
        return arrival.seen_at, ()
    at = stamped_at(told, seen_at=arrival.seen_at, zone=zone)
    return (at, ()) if at else (arrival.seen_at, (_DOUBTFUL,))


def _told(note: bytes) -> str:
    """What `{"received_at": "2026-11-23"}` says; nothing that can be read is a doubtful stamp too."""
    try:
        said = json.loads(note)
    except (ValueError, RecursionError):
        return ""
    told = said.get("received_at", said.get("received")) if isinstance(said, dict) else None
    return told if isinstance(told, str) else ""
