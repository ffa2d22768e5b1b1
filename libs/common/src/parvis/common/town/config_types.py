"""Defines the types of configuration values: texts in every language, numbers, addresses, slugs. Pure; no I/O."""

from collections.abc import Callable
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo

from parvis.common.contract.contact import ContactPoint, Language
from parvis.common.contract.errors import Rejected
from parvis.common.contract.normalize_contact_points import (
    email_contact_point,
    phone_contact_point,
    postal_contact_point,
)
from parvis.common.text.typography import typeset


class ConfigModel(BaseModel):
    """A frozen value. An unknown key is an error, because in a file it is a typing mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _check_languages(text: dict[str, str], info: ValidationInfo) -> dict[str, str]:
    languages: tuple[str, ...] = (info.context or {}).get("languages", ())
    missing = [language for language in languages if not text.get(language, "").strip()]
    if missing:
        raise ValueError(f"no text in {', '.join(missing)}; town.yaml lists the languages {', '.join(languages)}")
    return text


def _typeset(text: dict[str, str]) -> dict[str, str]:
    return {language: typeset(sentence, language) for language, sentence in text.items()}


def _normalizer(read: Callable[[str], ContactPoint]) -> Callable[[str], str]:
    def normalize(text: str) -> str:
        try:
            return read(text).value
        except Rejected as error:
            raise ValueError(str(error)) from error

    return normalize


def _normalize_address(lines: tuple[str, ...]) -> tuple[str, ...]:
    written = _normalizer(postal_contact_point)("\n".join(lines)).split("\n")
    return tuple(typeset(line, "") for line in written)


def check_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {name!r}; write one such as Europe/Paris") from error
    return name


LocalText = Annotated[
    dict[Language, str], Field(min_length=1), AfterValidator(_check_languages), AfterValidator(_typeset)
]
PhoneNumber = Annotated[str, AfterValidator(_normalizer(phone_contact_point))]
MailAddress = Annotated[str, AfterValidator(_normalizer(email_contact_point))]
PostalLines = Annotated[tuple[str, ...], AfterValidator(_normalize_address)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
HostName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,250})[a-z0-9]$")]
