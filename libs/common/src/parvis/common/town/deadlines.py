"""Periods, legal clocks and half days, as a town writes them. Pure; no I/O."""

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from parvis.common.town.field_types import ConfigModel

_PERIOD = re.compile(r"^([0-9]{1,3}) (working days?|days?|months?)$")


class Period(ConfigModel):
    """A length of time as the law counts it; in the files `10 working days`, `7 days`, `2 months`."""

    count: int = Field(ge=1)
    unit: Literal["working days", "days", "months"]

    @model_validator(mode="before")
    @classmethod
    def _parse_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        match = _PERIOD.match(value)
        if not match:
            raise ValueError(f"{value!r} is not a period, such as `10 working days`, `7 days` or `2 months`")
        return {"count": int(match[1]), "unit": match[2].rstrip("s") + "s"}

    def __str__(self) -> str:
        return f"{self.count} {self.unit if self.count > 1 else self.unit[:-1]}"


class LegalDeadlines(ConfigModel):
    """What the law, or the town's own promise, says about time."""

    receipt_within: Period | None = Field(
        default=None, description="the receipt with the department and the rule of silence"
    )
    answer_within: Period = Field(description="the town's promise; never longer than the law's")
    silence_means: Literal["acceptance", "rejection", "none"] = "none"
    silence_after: Period | None = Field(default=None, description="when silence becomes a decision")
    escalate_before: Period = Field(
        default=Period(count=2, unit="working days"),
        description="so long before an answer is due the department's head is told; not before half of the time has gone",
    )
    legal_basis: str = Field(description="the texts, for the agent and for the receipt", max_length=400)

    @model_validator(mode="after")
    def _check_silence(self) -> "LegalDeadlines":
        if (self.silence_means == "none") != (self.silence_after is None):
            raise ValueError("silence_after goes with a silence_means of acceptance or rejection, and only with one")
        return self


def _check_day(text: str) -> str:
    try:
        # 2024 has a 29th of February; a day of every year may be it.
        date.fromisoformat(text if len(text) == 10 else f"2024-{text}")
    except ValueError as error:
        raise ValueError(f"{text!r} is no day, such as 12-24 or 2026-05-15") from error
    return text


Day = Annotated[str, StringConstraints(pattern=r"^([0-9]{4}-)?[0-9]{2}-[0-9]{2}$"), AfterValidator(_check_day)]
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class OpeningHalfDays(ConfigModel):
    """Days on which the town hall is open for half a day. A public holiday is none of them."""

    days: tuple[Day, ...] = Field(default=(), description="of every year, `12-24`, or of one, `2026-05-15`")
    weekdays: tuple[Weekday, ...] = ()
    count_as: Literal["whole", "half", "none"] = Field(
        default="whole",
        description="of a working day; the law knows no half ones: `whole` is the count that can never be late",
    )

    @model_validator(mode="after")
    def _check_working_days_left(self) -> "OpeningHalfDays":
        if self.count_as == "none" and set(WEEKDAYS[:5]) <= set(self.weekdays):
            raise ValueError("no working day is left: half days count as none, and every weekday is one")
        return self
