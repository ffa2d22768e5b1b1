"""The town as data: departments with the people's addresses, procedures with their forms and legal clocks. Pure; no I/O."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, model_validator

from parvis.common import contact
from parvis.common.contact import ContactPoint, DepartmentSlug, Language
from parvis.common.errors import Rejected


class ConfigModel(BaseModel):
    """Frozen; an unknown key is an error, for in a file it is a typing mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _in_every_language(text: dict[str, str], info: ValidationInfo) -> dict[str, str]:
    wanted: tuple[str, ...] = (info.context or {}).get("languages", ())
    missing = [language for language in wanted if not text.get(language, "").strip()]
    if missing:
        raise ValueError(f"no text in {', '.join(missing)}: the town speaks {', '.join(wanted)}")
    return text


def _as_point(read: Callable[[str], ContactPoint]) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            return read(text).value
        except Rejected as error:
            raise ValueError(str(error)) from error

    return check


def _as_address(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_as_point(contact.post)("\n".join(lines)).split("\n"))


def _as_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {name!r}, such as Europe/Paris") from error
    return name


LocalText = Annotated[dict[Language, str], Field(min_length=1), AfterValidator(_in_every_language)]
PhoneNumber = Annotated[str, AfterValidator(_as_point(contact.phone))]
MailAddress = Annotated[str, AfterValidator(_as_point(contact.email))]
PostalLines = Annotated[tuple[str, ...], AfterValidator(_as_address)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
HostName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,250})[a-z0-9]$")]

_PERIOD = re.compile(r"^([0-9]{1,3}) (working days?|days?|months?)$")


class Period(ConfigModel):
    """A length of time as the law counts it; in the files `10 working days`, `7 days`, `2 months`."""

    count: int = Field(ge=1)
    unit: Literal["working days", "days", "months"]

    @model_validator(mode="before")
    @classmethod
    def _from_words(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        match = _PERIOD.match(value)
        if not match:
            raise ValueError(f"{value!r} is not a period, such as `10 working days`, `7 days` or `2 months`")
        return {"count": int(match[1]), "unit": match[2].rstrip("s") + "s"}

    def __str__(self) -> str:
        return f"{self.count} {self.unit if self.count > 1 else self.unit[:-1]}"


class Clocks(ConfigModel):
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
    def _silence_has_a_date(self) -> "Clocks":
        if (self.silence_means == "none") != (self.silence_after is None):
            raise ValueError("silence_after goes with a silence_means of acceptance or rejection, and only with one")
        return self


def _as_day(text: str) -> str:
    try:
        # 2024 has a 29th of February; a day of every year may be it.
        date.fromisoformat(text if len(text) == 10 else f"2024-{text}")
    except ValueError as error:
        raise ValueError(f"{text!r} is no day, such as 12-24 or 2026-05-15") from error
    return text


Day = Annotated[str, StringConstraints(pattern=r"^([0-9]{4}-)?[0-9]{2}-[0-9]{2}$"), AfterValidator(_as_day)]
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class HalfDays(ConfigModel):
    """Days on which the town hall is open for half a day. A public holiday is none of them."""

    days: tuple[Day, ...] = Field(default=(), description="of every year, `12-24`, or of one, `2026-05-15`")
    weekdays: tuple[Weekday, ...] = ()
    count_as: Literal["whole", "half", "none"] = Field(
        default="whole",
        description="of a working day; the law knows no half ones: `whole` is the count that can never be late",
    )

    @model_validator(mode="after")
    def _leaves_working_days(self) -> "HalfDays":
        if self.count_as == "none" and set(WEEKDAYS[:5]) <= set(self.weekdays):
            raise ValueError("no working day is left: half days count as none, and every weekday is one")
        return self


class Body(ConfigModel):
    """Another public body whose work citizens ask of the town: the département, a syndicate of towns."""

    slug: Slug
    name: LocalText
    phone: PhoneNumber
    email: MailAddress
    address: PostalLines


class Town(ConfigModel):
    name: LocalText = Field(description="as it signs", examples=[{"fr": "Mairie de Val-Exemple"}])
    fictional: bool = Field(default=False, description="says so on every page")
    languages: tuple[Language, ...] = Field(
        min_length=1, description="spoken by the town's own texts; first is default"
    )
    time_zone: Annotated[str, AfterValidator(_as_time_zone)]
    holidays: str = Field(
        pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$", description="country, and part, whose holidays do not work"
    )
    mailbox: MailAddress = Field(description="the general mailbox")
    mail_domain: HostName = Field(description="what stands behind @ in what we send")
    sms_number: PhoneNumber
    phone: PhoneNumber = Field(description="the switchboard: a person answers")
    web_name: HostName = Field(description="the public web name")
    address: PostalLines = Field(description="of the town hall: the return address of every letter")
    half_days: HalfDays = HalfDays()
    bodies: tuple[Body, ...] = Field(default=(), max_length=100, description="others that departments may belong to")
    clocks: Clocks = Field(description="for what no procedure is known of")

    def speaks(self, language: str | None) -> str:
        """`language` when the town speaks it, else the town's first."""
        return language if language in self.languages else self.languages[0]


class Department(ConfigModel):
    slug: DepartmentSlug
    name: LocalText
    summary: LocalText = Field(description="what it does, in one sentence")
    phone: PhoneNumber
    email: MailAddress
    address: PostalLines
    opening_hours: LocalText
    body: Slug | None = Field(default=None, description="a body of town.yaml; without one it is the town's own")
    successor: DepartmentSlug | None = Field(
        default=None, description="set when it retires; its conversations go there"
    )


class _Field(ConfigModel):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,40}$", description="key in the contact's answers")
    label: LocalText
    help: LocalText | None = None
    required: bool = False


class TextField(_Field):
    type: Literal["text"]
    max_length: int = Field(default=200, ge=1, le=1000, description="characters")
    autocomplete: str | None = Field(default=None, pattern=r"^[a-z-]+$", description="HTML autofill token (WCAG 1.3.5)")


class LongTextField(_Field):
    type: Literal["longtext"]
    max_length: int = Field(default=4000, ge=1, le=20000, description="characters")
    rows: int = Field(default=6, ge=2, le=20)


class Choice(ConfigModel):
    value: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,60}$")
    label: LocalText


class ChoiceField(_Field):
    type: Literal["choice"]
    options: tuple[Choice, ...] = Field(min_length=2, max_length=50)
    several: bool = Field(default=False, description="checkboxes instead of radio buttons")

    @model_validator(mode="after")
    def _options_differ(self) -> "ChoiceField":
        values = [option.value for option in self.options]
        if len(set(values)) < len(values):
            raise ValueError("two options have the same value")
        return self


class DateField(_Field):
    type: Literal["date"]
    earliest: date | Literal["today"] | None = None
    latest: date | Literal["today"] | None = None


class AddressField(_Field):
    """A place in the town or a postal address: one box of lines on the page."""

    type: Literal["address"]
    lines: int = Field(default=3, ge=1, le=6)


class FileField(_Field):
    type: Literal["file"]
    accept: tuple[str, ...] = Field(
        default=("image/jpeg", "image/png", "application/pdf"), min_length=1, description="media types, by content"
    )
    largest_mb: int = Field(default=10, ge=1, le=25, description="megabytes a file")
    most_files: int = Field(default=1, ge=1, le=10)


class ConsentField(_Field):
    type: Literal["consent"]


class EmailField(_Field):
    """Somebody's mail address; not the citizen's own, which the page asks for."""

    type: Literal["email"]


class PhoneField(_Field):
    """Somebody's telephone number, kept in E.164; not the citizen's own, which the page asks for."""

    type: Literal["phone"]


FormField = Annotated[
    TextField
    | LongTextField
    | ChoiceField
    | DateField
    | AddressField
    | FileField
    | ConsentField
    | EmailField
    | PhoneField,
    Field(discriminator="type"),
]


class Procedure(ConfigModel):
    """A public service one can ask for. The citizen's name, address and reply channel are asked by the page itself."""

    slug: Slug
    department: DepartmentSlug
    title: LocalText
    intro: LocalText
    anonymous: bool = Field(default=False, description="may be sent without saying who one is")
    clocks: Clocks
    form: tuple[FormField, ...] = Field(min_length=1, max_length=40)

    @model_validator(mode="after")
    def _names_differ(self) -> "Procedure":
        names = [field.name for field in self.form]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two fields are named {', '.join(sorted(twice))}")
        return self


class Directory(ConfigModel):
    """The town, checked as a whole: every name used exists, successors end somewhere, every text is in every language."""

    town: Town
    departments: dict[str, Department]
    procedures: dict[str, Procedure]

    def department(self, slug: str) -> Department | None:
        return self.departments.get(slug)

    def procedure(self, slug: str | None) -> Procedure | None:
        return self.procedures.get(slug) if slug else None

    def current(self, slug: str) -> str:
        """The department that does the work of `slug` today: itself, or its last successor; triage when unknown."""
        department = self.departments.get(slug)
        while department and department.successor:
            department = self.departments.get(department.successor)
        return department.slug if department else contact.TRIAGE

    def of_mailbox(self, address: str) -> Department | None:
        """The department whose own mailbox this is."""
        wanted = address.strip().lower()
        return next((department for department in self.departments.values() if department.email == wanted), None)

    def body_of(self, department: str) -> str | None:
        """The body that the department belongs to; none: the town itself."""
        found = self.departments.get(department)
        return found.body if found else None

    def body(self, slug: str | None) -> Body | None:
        return next((body for body in self.town.bodies if body.slug == slug), None)

    def clocks(self, procedure: str | None) -> Clocks:
        found = self.procedure(procedure)
        return found.clocks if found else self.town.clocks


def said_in(text: Mapping[str, str], language: str | None) -> str:
    """The text in that language, else in the first one it has."""
    return text.get(language or "") or next(iter(text.values()), "")
