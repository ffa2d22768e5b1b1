"""Defines the limits of sending: amounts, times and frequencies. Data only."""

from dataclasses import dataclass
from datetime import timedelta


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
    automatic_per_hour: int = 50_000
    automatic_sms_per_day: int = 5_000
    automatic_letters_per_day: int = 200
    sms_cents: float = 21
    letter_cents: float = 130
    automatic_cents_per_day: int = 100_000
    largest_attachments_bytes: int = 7_000_000
    longest_quiet_hold: timedelta = timedelta(hours=24)
