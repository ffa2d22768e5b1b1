"""Tests ten years of deadlines (holidays, half days, clock changes, month ends) against a slow independent computation."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.town.deadline_rules import DeadlineRules, OpeningHalfDays, Period
from parvis.common.town.loading import load_town_config
from parvis.common.town.models import Town
from parvis.router.decide.deadlines import TownCalendar

TOWN_CONFIG = load_town_config(Path(__file__).parents[3] / "config" / "example-town")
PARIS = ZoneInfo("Europe/Paris")
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2034, 1, 1, tzinfo=UTC)

instants = st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None), timezones=st.just(UTC))
periods = st.builds(Period, count=st.integers(1, 60), unit=st.sampled_from(["working days", "days", "months"]))  # pyright: ignore[reportCallIssue]


def town(**half_days: Any) -> Town:
    return TOWN_CONFIG.town.model_copy(update={"half_days": OpeningHalfDays(**half_days)})


PLAIN = TownCalendar(town())


def easter(year: int) -> date:
    """The algorithm of Meeus, Jones and Butcher, independent of the library that is tested."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = b // 4, b % 4
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = c // 4, c % 4
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def is_holiday(day: date) -> bool:
    """Code du travail, L3133-1: eleven days."""
    fixed = {(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)}
    moving = {easter(day.year) + timedelta(days=after) for after in (1, 39, 50)}
    return (day.month, day.day) in fixed or day in moving


def local(instant: datetime) -> datetime:
    return instant.astimezone(PARIS)


def test_working_days_of_ten_years_follow_the_law() -> None:
    day = FIRST.date()
    while day < LAST.date():
        assert PLAIN.is_working_day(day) == (day.weekday() < 5 and not is_holiday(day)), day
        day += timedelta(days=1)


@given(instants, st.integers(1, 60))
def test_working_days_are_counted_one_by_one(start: datetime, count: int) -> None:
    end = local(PLAIN.end_of_period(start, Period(count=count, unit="working days")))
    day, counted = local(start).date(), 0
    while day < end.date():
        day += timedelta(days=1)
        counted += day.weekday() < 5 and not is_holiday(day)
    assert counted == count
    assert PLAIN.is_working_day(end.date())


@given(instants, periods)
def test_a_period_ends_with_the_towns_day_across_clock_changes(start: datetime, period: Period) -> None:
    end = PLAIN.end_of_period(start, period)
    assert local(end).time() == time(23, 59, 59)
    assert end > start
    assert local(end + timedelta(seconds=1)).time() == time(0)
    # All contacts of one local day have the same deadline, even when a clock change makes the night longer or shorter.
    noon = datetime.combine(local(start).date(), time(12), PARIS)
    assert PLAIN.end_of_period(noon, period) == end


@given(instants, st.integers(1, 24))
def test_months_end_on_the_same_day_or_the_months_last(start: datetime, count: int) -> None:
    first, last = local(start).date(), local(PLAIN.end_of_period(start, Period(count=count, unit="months"))).date()
    assert (last.year * 12 + last.month) - (first.year * 12 + first.month) == count
    assert last.day == first.day or (last.day < first.day and (last + timedelta(days=1)).day == 1)


@given(instants, instants, periods)
def test_a_later_contact_is_never_due_earlier(one: datetime, other: datetime, period: Period) -> None:
    earlier, later = sorted((one, other))
    assert PLAIN.end_of_period(earlier, period) <= PLAIN.end_of_period(later, period)


@given(instants, periods, periods)
def test_the_department_is_warned_between_the_middle_and_the_deadline(
    start: datetime, within: Period, before: Period
) -> None:
    due = PLAIN.compute_deadlines(start, DeadlineRules(answer_within=within, escalate_before=before, legal_basis="-"))
    assert local(start).date() <= local(due.escalate_at).date()
    assert due.escalate_at <= due.answer_at
    waits, left = due.escalate_at - start, due.answer_at - due.escalate_at
    assert waits + timedelta(days=2) >= left


@given(instants, st.integers(0, 200), st.sampled_from(["acceptance", "rejection"]))
def test_another_body_gets_new_due_dates_and_rejection_keeps_the_first_day(
    start: datetime, days: int, means: Any
) -> None:
    """CRPA L114-3."""
    silence = Period(count=2, unit="months")
    clocks = DeadlineRules(
        answer_within=Period(count=10, unit="working days"), receipt_within=Period(count=7, unit="days"),
        silence_means=means, silence_after=silence, legal_basis="-",
    )  # fmt: skip
    competent = start + timedelta(days=days)
    due, there = (
        PLAIN.compute_deadlines(start, clocks, competent_at=competent),
        PLAIN.compute_deadlines(competent, clocks),
    )
    assert (due.answer_at, due.receipt_at, due.escalate_at) == (there.answer_at, there.receipt_at, there.escalate_at)
    assert due.silence_at == PLAIN.end_of_period(start if means == "rejection" else competent, silence)


@pytest.mark.parametrize(
    ("half_days", "start", "end"),
    [
        ({}, "2026-12-23", "2026-12-24"),
        ({"days": ["12-24"]}, "2026-12-23", "2026-12-24"),
        ({"days": ["12-24"], "count_as": "half"}, "2026-12-23", "2026-12-28"),
        ({"days": ["12-24"], "count_as": "none"}, "2026-12-23", "2026-12-28"),
        ({"days": ["2025-12-24"], "count_as": "none"}, "2026-12-23", "2026-12-24"),
        ({"weekdays": ["saturday"]}, "2026-03-06", "2026-03-07"),
        ({"weekdays": ["saturday"], "count_as": "half"}, "2026-03-06", "2026-03-09"),
        ({"weekdays": ["friday"], "days": ["12-25"]}, "2026-12-24", "2026-12-28"),  # Christmas stays a holiday
        ({"weekdays": ["wednesday", "thursday"], "count_as": "half"}, "2026-03-03", "2026-03-05"),
    ],
)
def test_half_days_count_as_configured(half_days: dict[str, Any], start: str, end: str) -> None:
    starts_at = datetime.fromisoformat(f"{start}T10:00:00+01:00")
    ends_at = TownCalendar(town(**half_days)).end_of_period(starts_at, Period(count=1, unit="working days"))
    assert local(ends_at).date().isoformat() == end


@given(instants, st.integers(1, 40))
def test_counting_half_days_as_whole_never_delays_a_deadline(start: datetime, count: int) -> None:
    period = Period(count=count, unit="working days")
    ends = [
        TownCalendar(town(days=["12-24", "12-31"], weekdays=["friday"], count_as=count_as)).end_of_period(start, period)
        for count_as in ("whole", "half", "none")
    ]
    assert ends == sorted(ends)


@pytest.mark.parametrize(
    ("half_days", "fact"),
    [
        ({"days": ["02-30"]}, "is not a day"),
        ({"days": ["2026-13-01"]}, "is not a day"),
        ({"weekdays": ["monday", "tuesday", "wednesday", "thursday", "friday"], "count_as": "none"}, "no working day"),
    ],
)
def test_an_inconsistent_calendar_is_refused(half_days: dict[str, Any], fact: str) -> None:
    with pytest.raises(ValueError, match=fact):
        OpeningHalfDays(**half_days)
