"""Computes how long a reply waits for the end of quiet hours and public holidays. Pure; no I/O."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import holidays

from parvis.common.contract.channels import channel as channel_row
from parvis.common.contract.preference import QuietHours
from parvis.common.contract.reply import ReplyRequested
from parvis.common.town.models import Town
from parvis.notifier.models.limits import SendingLimits

_LONGEST_REST_DAYS = 10


@dataclass(frozen=True)
class QuietHoursPolicy:
    """Applies quiet hours in the town's time zone; its public holidays are quiet all day."""

    town: Town

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.town.time_zone)

    @cached_property
    def _holidays(self) -> "holidays.HolidayBase":
        country, _, part = self.town.holidays.partition("-")
        return holidays.country_holidays(country, subdiv=part or None)

    def is_holiday(self, day: date) -> bool:
        return day in self._holidays

    def hold_until(
        self, reply: ReplyRequested, channel: str, hours: QuietHours | None, at: datetime, limits: SendingLimits
    ) -> datetime | None:
        """Until when a due reply waits; None if it may be sent now.

        Gives:  the end of the quiet hours. A reply that the law demands waits only if they end before its `send_by` or, without
                one, within a day of its `send_at`: notices are requested a day ahead.
        """
        if hours is None or not channel_row(channel).is_interruptive:
            return None
        until = end_of_quiet_hours(at, hours, self.zone, self.is_holiday)
        latest = reply.send_by or reply.send_at + limits.longest_quiet_hold
        if until is None or (reply.legal and until > latest):
            return None
        return until


def end_of_quiet_hours(
    at: datetime, hours: QuietHours, zone: ZoneInfo, is_holiday: Callable[[date], bool]
) -> datetime | None:
    """The end of the quiet time at `at`; None if it is not quiet then."""
    local = at.astimezone(zone)
    start, end = time.fromisoformat(hours.start), time.fromisoformat(hours.end)
    if start == end:
        return None
    moment = local
    for _ in range(2 * _LONGEST_REST_DAYS):
        ends = _end_of_quiet(moment, start, end, is_holiday)
        if ends is None:
            break
        moment = ends
    return None if moment == local else moment.astimezone(at.tzinfo)


def _end_of_quiet(moment: datetime, start: time, end: time, is_holiday: Callable[[date], bool]) -> datetime | None:
    """The end of the quiet period at `moment`; another may follow at once. None if it is not quiet."""
    day, clock = moment.date(), moment.time()
    if is_holiday(day):
        return datetime.combine(day + timedelta(days=1), time(), moment.tzinfo)
    if start < end:
        return datetime.combine(day, end, moment.tzinfo) if start <= clock < end else None
    if clock >= start:
        return datetime.combine(day + timedelta(days=1), end, moment.tzinfo)
    return datetime.combine(day, end, moment.tzinfo) if clock < end else None
