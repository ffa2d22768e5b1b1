"""Formats dates and times of day in the town's time zone and the reader's language. Pure; no I/O."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from parvis.web.translations import Translations


@dataclass(frozen=True)
class DateFormatter:
    """Formats dates and times of day for the pages of one town."""

    words: Translations
    zone: ZoneInfo

    def day(self, when: datetime | date, language: str) -> str:
        """2 mars 2026; the first of a month is `1er mars 2026` in French."""
        local = self._local(when)
        key = "date.first_day" if local.day == 1 else "date.day"
        month = self._month("date.months", local, language)
        return self.words.translate(key, language, day=local.day, month=month, year=local.year)

    def long_day(self, when: datetime | date, language: str) -> str:
        """lundi 2 mars 2026."""
        weekday = self.words.translate("date.weekdays", language).split()[self._local(when).weekday()]
        return self.words.translate("date.weekday_day", language, weekday=weekday, day=self.day(when, language))

    def short_day(self, when: datetime | date, language: str) -> str:
        """02/03/2026, for tables; in English `2 Mar 2026`, as day and month stand in either order there."""
        local = self._local(when)
        month = self._month("date.short_months", local, language)
        return self.words.translate("date.short_day", language, day=local.day, month=month, year=local.year)

    def hour(self, when: datetime, language: str) -> str:
        """10 h 30 in French, 10:30 in English."""
        local = when.astimezone(self.zone)
        return self.words.translate("date.hour", language, hour=local.hour, minute=local.minute)

    def day_and_hour(self, when: datetime, language: str) -> str:
        """2 mars 2026 à 10 h 30."""
        return self.words.translate(
            "date.day_and_hour", language, day=self.day(when, language), hour=self.hour(when, language)
        )

    def recent(self, when: datetime, language: str, now: datetime) -> str:
        """aujourd’hui à 10 h 30, hier à 17 h 02, else 02/03/2026."""
        days_ago = self._local(now) - self._local(when)
        if timedelta(0) <= days_ago <= timedelta(days=1):
            key = "date.yesterday" if days_ago else "date.today"
            return self.words.translate(key, language, hour=self.hour(when, language))
        return self.short_day(when, language)

    def today(self, now: datetime) -> date:
        """The date in the town."""
        return self._local(now)

    def _month(self, names: str, local: date, language: str) -> str:
        return self.words.translate(names, language).split()[local.month - 1]

    def _local(self, when: datetime | date) -> date:
        return when.astimezone(self.zone).date() if isinstance(when, datetime) else when
