"""Gives the present time, aware and in UTC; tests replace it by a clock of their own."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """Give the present instant in UTC, cut to milliseconds, as every event and every row has it."""
    instant = datetime.now(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
