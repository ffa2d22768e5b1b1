"""Defines types of commands' arguments: instants, days, days to count, mail addresses, ids, files to write; and that of `register(commands)`."""

import argparse
import os
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from parvis.common.contract.errors import Rejected
from parvis.common.contract.normalize_contact_points import email_contact_point
from parvis.common.runtime import clock

# argparse has no public name for it.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # pyright: ignore[reportPrivateUsage]

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_MOST_DAYS = 36_500

# Each takes what was typed, and raises ArgumentTypeError: argparse prints it with the argument's name and exits with 2.


def instant(text: str) -> datetime:
    """2026-11-23T03:00, in UTC if it names no zone; or 90m, 2h, 3d: so long ago."""
    ago = re.fullmatch(r"([0-9]{1,4})([mhd])", text)
    if ago:
        return clock.now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither an instant such as 2026-11-23T03:00 nor a duration such as 90m, 2h or 3d"
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day such as 2026-11-23") from None


def day_count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= _MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days from 1 to {_MOST_DAYS}")
    return int(text)


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return number


def mail_address(text: str) -> str:
    try:
        return email_contact_point(text).value
    except Rejected:
        raise argparse.ArgumentTypeError(f"{text!r} is no mail address") from None


def not_blank(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return text.strip()


def file_to_write(text: str) -> Path:
    """A path to which a file can be written: asked before the work whose result it holds."""
    path = Path(text)
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: it is a folder, or in none that you may change")
    return path
