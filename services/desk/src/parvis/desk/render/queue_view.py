"""Builds what the queue shows of each case: its group by due date, its due date in words, its agent's initials. Pure; no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from parvis.common.town.models import TownConfig, localized
from parvis.desk.models.case import NO_DATE, URGENCY_RANKS, Case
from parvis.desk.models.queue import VIEWS_BY_CHANGE, QueueFilter, QueueRow
from parvis.web.dates import DateFormatter


@dataclass(frozen=True)
class RowView:
    """One row of the queue. `tone` colours the due date: `bad` when it is past, `warm` today."""

    case: Case
    is_leaving: bool
    title: str
    snippet: str
    due: str
    tone: str
    received: str
    initials: str


@dataclass(frozen=True)
class QueuePresenter:
    """Turns cases into rows, in one language, as seen at one instant."""

    town_config: TownConfig
    dates: DateFormatter
    language: str
    now: datetime

    def group(self, rows: Sequence[QueueRow], wanted: QueueFilter) -> list[tuple[str, list[RowView]]]:
        """The rows under their heads, in the order given; one group without a head where the order is not by due date."""
        if wanted.view in VIEWS_BY_CHANGE:
            return [("", [self._row(row) for row in rows])] if rows else []
        groups = groupby(rows, key=lambda row: self._group_of(row.case))
        return [(name, [self._row(row) for row in members]) for name, members in groups]

    def _group_of(self, case: Case) -> str:
        if case.urgency < URGENCY_RANKS["normal"]:
            return "urgent"
        if case.answer_due_at >= NO_DATE:
            return "later"
        if case.answer_due_at < self.now:
            return "late"
        today, due = self.dates.today(self.now), self.dates.today(case.answer_due_at)
        end_of_week = today + timedelta(days=6 - today.weekday())
        return "today" if due == today else "week" if due <= end_of_week else "later"

    def _row(self, row: QueueRow) -> RowView:
        case = row.case
        procedure = self.town_config.procedure(case.procedure)
        title = case.subject or (localized(procedure.title, self.language) if procedure else "")
        return RowView(
            case, row.is_leaving, title, case.snippet if case.snippet != case.subject else "",
            due=self.day(case.answer_due_at) if case.answer_due_at < NO_DATE else "",
            tone=self._tone(case), received=self._received(case.received_at), initials=initials(case.taken_by or ""),
        )  # fmt: skip

    def _tone(self, case: Case) -> str:
        if case.is_late(self.now):
            return "bad"
        is_today = self.dates.today(case.answer_due_at) == self.dates.today(self.now)
        return "warm" if is_today or case.is_soon_late(self.now) else ""

    def day(self, when: datetime) -> str:
        """« hier », « demain », « jeu. 3 » within a week, « 12 nov. » in the year, else 12/11/2025."""
        day, today = self.dates.today(when), self.dates.today(self.now)
        words, days = self.dates.words, (day - today).days
        if -1 <= days <= 1:
            return words.translate(("queue.yesterday", "queue.due_today", "queue.tomorrow")[days + 1], self.language)
        if 1 < days < 7:
            weekday = words.translate("queue.weekdays", self.language).split()[day.weekday()]
            return words.translate("queue.weekday_day", self.language, weekday=weekday, day=day.day)
        if abs(days) > 300:
            return self.dates.short_day(when, self.language)
        month = words.translate("queue.months", self.language).split()[day.month - 1]
        return words.translate("queue.month_day", self.language, day=day.day, month=month)

    def _received(self, when: datetime) -> str:
        is_today = self.dates.today(when) == self.dates.today(self.now)
        return self.dates.hour(when, self.language) if is_today else self.day(when)


def end_of_day(dates: DateFormatter, now: datetime) -> datetime:
    """The next midnight in the town."""
    return datetime.combine(dates.today(now) + timedelta(days=1), datetime.min.time(), tzinfo=dates.zone)


def initials(name: str) -> str:
    """The first letters of the first and last name: « ME » for Maxime Exemple."""
    names = [part for part in name.split() if part[0].isalnum()]
    return "".join(part[0].upper() for part in dict.fromkeys([*names[:1], *names[-1:]]))
