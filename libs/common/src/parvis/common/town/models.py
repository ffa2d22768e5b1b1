"""The town as data: departments with the people's addresses, procedures with their forms and legal clocks. Pure; no I/O."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from parvis.common.contract import contact
from parvis.common.contract.contact import DepartmentSlug, Language
from parvis.common.text.telephone import format_phone
from parvis.common.town.deadlines import LegalDeadlines, OpeningHalfDays
from parvis.common.town.field_types import (
    ConfigModel,
    HostName,
    LocalText,
    MailAddress,
    PhoneNumber,
    PostalLines,
    Slug,
    check_time_zone,
)
from parvis.common.town.form_fields import FormField


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
    time_zone: Annotated[str, AfterValidator(check_time_zone)]
    holidays: str = Field(
        pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$", description="country, and part, whose holidays do not work"
    )
    mailbox: MailAddress = Field(description="the general mailbox")
    mail_domain: HostName = Field(description="what stands behind @ in what we send")
    sms_number: PhoneNumber
    phone: PhoneNumber = Field(description="the switchboard: a person answers")
    web_name: HostName = Field(description="the public web name")
    address: PostalLines = Field(description="of the town hall: the return address of every letter")
    half_days: OpeningHalfDays = OpeningHalfDays()
    bodies: tuple[Body, ...] = Field(default=(), max_length=100, description="others that departments may belong to")
    clocks: LegalDeadlines = Field(description="for what no procedure is known of")

    def supported_language(self, language: str | None) -> str:
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


class Procedure(ConfigModel):
    """A public service one can ask for. The citizen's name, address and reply channel are asked by the page itself."""

    slug: Slug
    department: DepartmentSlug
    title: LocalText
    intro: LocalText
    anonymous: bool = Field(default=False, description="may be sent without saying who one is")
    clocks: LegalDeadlines
    form: tuple[FormField, ...] = Field(min_length=1, max_length=40)

    @model_validator(mode="after")
    def _check_field_names(self) -> "Procedure":
        names = [field.name for field in self.form]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two fields are named {', '.join(sorted(twice))}")
        return self


class TownConfig(ConfigModel):
    """The town, checked as a whole: every name used exists, successors end somewhere, every text is in every language."""

    town: Town
    departments: dict[str, Department]
    procedures: dict[str, Procedure]

    def department(self, slug: str) -> Department | None:
        return self.departments.get(slug)

    def procedure(self, slug: str | None) -> Procedure | None:
        return self.procedures.get(slug) if slug else None

    def current_department(self, slug: str) -> str:
        """The department that does the work of `slug` today: itself, or its last successor; triage when unknown."""
        department = self.departments.get(slug)
        while department and department.successor:
            department = self.departments.get(department.successor)
        return department.slug if department else contact.TRIAGE

    def department_of_mailbox(self, address: str) -> Department | None:
        """The department whose own mailbox this is."""
        return self.departments_by_mailbox.get(address.strip().lower())

    @cached_property
    def departments_by_mailbox(self) -> dict[str, Department]:
        """Of two departments with one mailbox, the first."""
        return {department.email: department for department in reversed(self.departments.values())}

    @cached_property
    def department_variables(self) -> Mapping[tuple[str, str], Mapping[str, str]]:
        """How to reach the town and each department, as templates write it; by department and language.

        Computed once: formatting telephone numbers is most of the cost of a notice.
        """
        return {
            (department.slug, language): self._contact_details(department, language)
            for department in self.departments.values()
            for language in self.town.languages
        }

    def _contact_details(self, department: Department, language: str) -> dict[str, str]:
        return {
            "town": localized(self.town.name, language),
            "town_phone": format_phone(self.town.phone),
            "town_web": f"https://{self.town.web_name}",
            "department": localized(department.name, language),
            "department_phone": format_phone(department.phone),
            "department_email": department.email,
            "department_address": ", ".join(department.address),
            "department_hours": localized(department.opening_hours, language),
        }

    def body_of(self, department: str) -> str | None:
        """The body that the department belongs to; none: the town itself."""
        known = self.departments.get(department)
        return known.body if known else None

    def body(self, slug: str | None) -> Body | None:
        return next((body for body in self.town.bodies if body.slug == slug), None)

    def legal_deadlines(self, procedure: str | None) -> LegalDeadlines:
        known = self.procedure(procedure)
        return known.clocks if known else self.town.clocks


def localized(text: Mapping[str, str], language: str | None) -> str:
    """The text in that language, else in the first one it has."""
    return text.get(language or "") or next(iter(text.values()), "")
