"""Defines the limits of sending: amounts, times and frequencies. Data only."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class DailyBudget:
    """What automatic messages may cost in 24 hours."""

    segments: int
    letters: int
    cents: int

    def times(self, factor: int) -> "DailyBudget":
        return DailyBudget(self.segments * factor, self.letters * factor, self.cents * factor)


@dataclass(frozen=True)
class SendingLimits:
    """The limits of sending, from the settings."""

    in_flight: int = 50
    lease: timedelta = timedelta(seconds=90)
    unknown_after: timedelta = timedelta(minutes=15)
    poll_every: timedelta = timedelta(seconds=30)
    retry_for: timedelta = timedelta(hours=48)
    automatic_per_day: int = 5
    answers_per_day: int = 30
    messages_per_conversation_and_day: int = 40
    registrations_per_conversation: int = 5  # whoever opened it and a few who joined; what a flood of addresses gets
    automatic_per_hour: int = 50_000
    town_budget: DailyBudget = DailyBudget(segments=10_000, letters=200, cents=100_000)
    source_budget: DailyBudget = DailyBudget(segments=20, letters=2, cents=400)
    wider_source_times: int = 5
    source_waits: timedelta = timedelta(hours=48)
    segment_cents: float = 7
    letter_cents: float = 130
    largest_attachments_bytes: int = 7_000_000
    longest_quiet_hold: timedelta = timedelta(hours=24)
