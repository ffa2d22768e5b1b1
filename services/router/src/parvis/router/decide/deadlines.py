"""Computes legal deadlines in the town's days: working days, public holidays, half days. No I/O."""

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import holidays

from parvis.common.town.deadline_rules import WEEKDAYS, DeadlineRules, Period
from parvis.common.town.models import Town

_LAST_SECOND = time(23, 59, 59)
_HALVES = {"whole": 2, "half": 1, "none": 0}
_CACHE_SIZE = 4096  # one per day and set of a procedure's rules


@dataclass(frozen=True)
class DeadlineInstants:
    """The deadlines of one contact; None for each that the procedure does not set."""

    receipt_at: datetime | None
    answer_at: datetime
    escalate_at: datetime
    silence_at: datetime | None


class TownCalendar:
    """The town's days: its time zone, weekends, public holidays and half days. Caches its results."""

    def __init__(self, town: Town) -> None:
        self._zone = ZoneInfo(town.time_zone)
        self._holiday_region = town.holidays.partition("-")
        self._half_days = town.half_days
        self._cache: dict[tuple[date, date, int], tuple[DeadlineRules, DeadlineInstants]] = {}

    @cached_property
    def _holidays(self) -> "holidays.HolidayBase":
        country, _, part = self._holiday_region
        return holidays.country_holidays(country, subdiv=part or None)

    def compute_deadlines(
        self, received_at: datetime, rules: DeadlineRules, *, competent_at: datetime | None = None
    ) -> DeadlineInstants:
        """The deadlines of a contact received at `received_at`.

        Between public bodies, the deadlines and silence that means acceptance run from the day on which the competent body
        received it; silence that means rejection runs from the first day (CRPA L114-3).
        """
        first = self.local_day(received_at)
        competent = self.local_day(competent_at) if competent_at else first
        key = (first, competent, id(rules))  # pydantic's hash visits every field
        cached = self._cache.get(key)
        if cached is None or cached[0] is not rules:
            if len(self._cache) >= _CACHE_SIZE:
                self._cache.clear()
            cached = self._cache[key] = (rules, self._due(first, competent, rules))
        return cached[1]

    def end_of_period(self, start: datetime, period: Period) -> datetime:
        """The last second of the last day of a period, in UTC. The day on which it starts does not count."""
        return self._end_of(self._after(self.local_day(start), period))

    def local_day(self, instant: datetime) -> date:
        """The date of an instant in the town's time zone."""
        return instant.astimezone(self._zone).date()

    def is_working_day(self, day: date) -> bool:
        """Whether the date counts as a working day or a half one."""
        return self._half_day_count(day) > 0

    def _due(self, first: date, competent: date, rules: DeadlineRules) -> DeadlineInstants:
        answer = self._after(competent, rules.answer_within)
        # Not before half of the time has passed: a contact due tomorrow would be late on arrival.
        warning = max(self._before(answer, rules.escalate_before), competent + (answer - competent) // 2)
        runs_from = first if rules.silence_means == "rejection" else competent
        return DeadlineInstants(
            receipt_at=self._end_of(self._after(competent, rules.receipt_within)) if rules.receipt_within else None,
            answer_at=self._end_of(answer),
            escalate_at=self._end_of(warning),
            silence_at=self._end_of(self._after(runs_from, rules.silence_after)) if rules.silence_after else None,
        )

    def _end_of(self, day: date) -> datetime:
        return datetime.combine(day, _LAST_SECOND, self._zone).astimezone(UTC)

    def _after(self, day: date, period: Period) -> date:
        match period.unit:
            case "working days":
                return self._working_days_from(day, period.count, timedelta(days=1))
            case "days":
                return day + timedelta(days=period.count)
            case "months":
                return _months_from(day, period.count)

    def _before(self, day: date, period: Period) -> date:
        match period.unit:
            case "working days":
                return self._working_days_from(day, period.count, timedelta(days=-1))
            case "days":
                return day - timedelta(days=period.count)
            case "months":
                return _months_from(day, -period.count)

    def _working_days_from(self, day: date, count: int, step: timedelta) -> date:
        halves = 2 * count
        while halves > 0:
            day += step
            halves -= self._half_day_count(day)
        return day

    def _half_day_count(self, day: date) -> int:
        """The number of working half days on a date: 2, 1 or 0. A Saturday may be a half day."""
        if day in self._holidays:
            return 0
        if self._is_half(day):
            return _HALVES[self._half_days.count_as]
        return 2 if day.weekday() < 5 else 0

    def _is_half(self, day: date) -> bool:
        half, iso = self._half_days, day.isoformat()
        return WEEKDAYS[day.weekday()] in half.weekdays or iso in half.days or iso[5:] in half.days


def _months_from(day: date, count: int) -> date:
    """The same day of another month, or that month's last day if it is shorter."""
    month = day.month - 1 + count
    year, month = day.year + month // 12, month % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
