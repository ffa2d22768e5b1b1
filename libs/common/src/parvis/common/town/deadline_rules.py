"""Defines periods, legal deadlines and opening half days as a town writes them in YAML. Pure; no I/O."""

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from parvis.common.town.config_types import ConfigModel

_PERIOD = re.compile(r"^([0-9]{1,3}) (working days?|days?|months?)$")


class Period(ConfigModel):
    """A length of time as the law counts it; in YAML `10 working days`, `7 days` or `2 months`."""

    count: int = Field(ge=1)
    unit: Literal["working days", "days", "months"]

    @model_validator(mode="before")
    @classmethod
    def _parse_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        match = _PERIOD.match(value)
        if not match:
            raise ValueError(f"{value!r} is not a period such as `10 working days`, `7 days` or `2 months`")
        return {"count": int(match[1]), "unit": match[2].rstrip("s") + "s"}

    def __str__(self) -> str:
        return f"{self.count} {self.unit if self.count > 1 else self.unit[:-1]}"


class DeadlineRules(ConfigModel):
    """The deadlines that the law, or the town's own promise, sets."""

    receipt_within: Period | None = Field(
        default=None, description="time to send the receipt, which names the department and the rule of silence"
    )
    answer_within: Period = Field(description="the town's own promise; never longer than the legal period")
    silence_means: Literal["acceptance", "rejection", "none"] = "none"
    silence_after: Period | None = Field(default=None, description="when silence becomes a decision")
    escalate_before: Period = Field(
        default=Period(count=2, unit="working days"),
        description="how long before the answer is due the head of the department is told; never before half of the time has passed",
    )
    legal_basis: str = Field(description="the legal texts, for the agent and the receipt", max_length=400)

    @model_validator(mode="after")
    def _check_silence(self) -> "DeadlineRules":
        if (self.silence_means == "none") != (self.silence_after is None):
            raise ValueError(
                "silence_after is required if silence_means is acceptance or rejection, and not allowed otherwise"
            )
        return self


def _check_day(text: str) -> str:
    try:
        # 2024 is a leap year, so that 02-29 is accepted.
        date.fromisoformat(text if len(text) == 10 else f"2024-{text}")
    except ValueError as error:
        raise ValueError(f"{text!r} is not a day such as 12-24 or 2026-05-15") from error
    return text


Day = Annotated[str, StringConstraints(pattern=r"^([0-9]{4}-)?[0-9]{2}-[0-9]{2}$"), AfterValidator(_check_day)]
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class OpeningHalfDays(ConfigModel):
    """Days on which the town hall is open for half a day, public holidays excepted."""

    days: tuple[Day, ...] = Field(default=(), description="a day of every year, `12-24`, or of one year, `2026-05-15`")
    weekdays: tuple[Weekday, ...] = ()
    count_as: Literal["whole", "half", "none"] = Field(
        default="whole",
        description="share of a working day; the law knows no half days, and `whole` is the count that is never late",
    )

    @model_validator(mode="after")
    def _check_working_days_left(self) -> "OpeningHalfDays":
        if self.count_as == "none" and set(WEEKDAYS[:5]) <= set(self.weekdays):
            raise ValueError("no working day is left: count_as is none, and every weekday is a half day")
        return self
