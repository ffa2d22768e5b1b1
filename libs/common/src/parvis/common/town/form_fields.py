"""Defines the form fields of a procedure as a town writes them in YAML. Pure; no I/O."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from parvis.common.town.config_types import ConfigModel, LocalText


class _Field(ConfigModel):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,40}$", description="key of the answer in the contact")
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


class FormChoice(ConfigModel):
    value: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,60}$")
    label: LocalText


class ChoiceField(_Field):
    type: Literal["choice"]
    options: tuple[FormChoice, ...] = Field(min_length=2, max_length=50)
    several: bool = Field(default=False, description="checkboxes instead of radio buttons")

    @model_validator(mode="after")
    def _check_option_values(self) -> "ChoiceField":
        values = [option.value for option in self.options]
        if len(set(values)) < len(values):
            raise ValueError("two options have the same value")
        return self


class DateField(_Field):
    type: Literal["date"]
    earliest: date | Literal["today"] | None = None
    latest: date | Literal["today"] | None = None


class AddressField(_Field):
    """A location in the town or a postal address, in one text box."""

    type: Literal["address"]
    lines: int = Field(default=3, ge=1, le=6)


class FileField(_Field):
    type: Literal["file"]
    accept: tuple[str, ...] = Field(
        default=("image/jpeg", "image/png", "application/pdf"), min_length=1, description="media types, by content"
    )
    largest_mb: int = Field(default=10, ge=1, le=25, description="largest size of a file, in megabytes")
    most_files: int = Field(default=1, ge=1, le=10)


class ConsentField(_Field):
    type: Literal["consent"]


class EmailField(_Field):
    """A mail address of somebody else; the page asks for the citizen's own."""

    type: Literal["email"]


class PhoneField(_Field):
    """A telephone number of somebody else, stored in E.164; the page asks for the citizen's own."""

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
