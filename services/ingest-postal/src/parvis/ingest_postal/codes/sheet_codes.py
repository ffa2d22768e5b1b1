"""Makes and parses the codes printed on separator and batch cover sheets. Pure; no I/O."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from parvis.common.contract.mail_tokens import is_valid_token, sign_token

SEPARATOR = "PARVIS-SEPARATOR"
_BATCH = re.compile(r"PARVIS-BATCH;received=([0-9TZ:.+-]{10,40})(?:;sig=([a-z2-7]{16}))?")
_PURPOSE = "batch"
_OLDEST = timedelta(days=366)
_NOON = 12

SheetKind = Literal["letter", "batch"]


@dataclass(frozen=True)
class SheetCode:
    """The parsed code of a separator or batch cover sheet."""

    kind: SheetKind
    received: str | None = None  # an instant or a day, ISO 8601
    is_signed: bool = False


def make_batch_code(received: str, key: bytes) -> str:
    """Make the QR code of a batch cover sheet. It is signed, because the date decides whether a letter arrived in time."""
    return f"PARVIS-BATCH;received={received};sig={sign_token(received, _PURPOSE, key)}"


def parse_sheet_code(code: str, key: bytes) -> SheetCode | None:
    """Parse the text of a code. Gives: None when it is not a sheet code."""
    text = code.strip()
    if text == SEPARATOR:
        return SheetCode("letter")
    match = _BATCH.fullmatch(text)
    if not match:
        return None
    return SheetCode("batch", match[1], bool(match[2]) and is_valid_token(match[1], _PURPOSE, match[2], key))


def is_sheet_code(code: str) -> bool:
    """Whether the code is that of a separator or batch sheet; the signature is not checked."""
    return code.strip() == SEPARATOR or bool(_BATCH.fullmatch(code.strip()))


def parse_stamp(received: str, *, seen_at: datetime, zone: ZoneInfo) -> datetime | None:
    """Parse the date of receipt.

    Shape:  `2026-11-23`, which means noon in the town, or an instant with its UTC offset.
    Gives:  None when it cannot be parsed, is in the future or is more than a year old: a wrong date would change a citizen's deadline.
    """
    try:
        if len(received) == len("2026-11-23"):
            day = date.fromisoformat(received)
            noon = datetime(day.year, day.month, day.day, _NOON, tzinfo=zone)
            received_at = min(noon, seen_at) if day == seen_at.astimezone(zone).date() else noon
        else:
            received_at = datetime.fromisoformat(received)
    except ValueError:
        return None
    if received_at.tzinfo is None or not seen_at - _OLDEST <= received_at <= seen_at:
        return None
    return received_at.astimezone(UTC)
