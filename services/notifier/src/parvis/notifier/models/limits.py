"""Defines how much, how long and how often the notifier sends. Data only."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Limits:
    """How much, how long, how often."""

    in_flight: int = 50
    lease: timedelta = timedelta(seconds=90)
    unknown_after: timedelta = timedelta(minutes=15)
    ask_every: timedelta = timedelta(seconds=30)
    retry_for: timedelta = timedelta(hours=48)
    automatic_a_day: int = 5
    answers_a_day: int = 30
    a_conversation_a_day: int = 40
    automatic_an_hour: int = 50_000
    enclosures_bytes: int = 7_000_000
    held_for_quiet: timedelta = timedelta(hours=24)
