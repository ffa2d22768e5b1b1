"""An instant and a legal period in, the instant at which it ends out, in the town's days. Pure; no I/O."""

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import holidays

from parvis.common.directory import Clocks, Period, Town

_LAST_SECOND = time(23, 59, 59)


@dataclass(frozen=True)
class Due:
    """When the receipt and the answer are due; none where the procedure promises none."""

    receipt_at: datetime | None
    answer_at: datetime


class Calendar:
    """The town's days: its time zone, its weekends, its public holidays."""

    def __init__(self, town: Town) -> None:
        self._zone = ZoneInfo(town.time_zone)
        self._place = town.holidays.partition("-")

    @cached_property
    def _holidays(self) -> "holidays.HolidayBase":
        country, _, part = self._place
        return holidays.country_holidays(country, subdiv=part or None)

    def due(self, received_at: datetime, clocks: Clocks) -> Due:
        """The deadlines of a contact that was received then."""
        receipt = self.end(received_at, clocks.receipt_within) if clocks.receipt_within else None
        return Due(receipt_at=receipt, answer_at=self.end(received_at, clocks.answer_within))

    def end(self, start: datetime, period: Period) -> datetime:
        """The last second of the last day of a period, in UTC. The day on which it starts does not count."""
        day = start.astimezone(self._zone).date()
        match period.unit:
            case "working days":
                last = self._working_days_after(day, period.count)
            case "days":
                last = day + timedelta(days=period.count)
            case "months":
                last = _months_after(day, period.count)
        return datetime.combine(last, _LAST_SECOND, self._zone).astimezone(UTC)

    def works(self, day: date) -> bool:
        """Whether it is a working day: Monday to Friday, no public holiday."""
        return day.weekday() < 5 and day not in self._holidays

    def _working_days_after(self, day: date, count: int) -> date:
        while count:
            day += timedelta(days=1)
            count -= self.works(day)
        return day


def _months_after(day: date, count: int) -> date:
    """The same day of a later month; the month's last, where it has no such day."""
    month = day.month - 1 + count
    year, month = day.year + month // 12, month % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
