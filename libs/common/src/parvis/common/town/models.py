"""Defines the town as checked values: departments, procedures with their forms and deadlines, public bodies. Pure; no I/O."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from parvis.common.contract import contact
from parvis.common.contract.contact import DepartmentSlug, Language
from parvis.common.text.telephone import format_phone
from parvis.common.town.config_types import (
    ConfigModel,
    HostName,
    LocalText,
    MailAddress,
    PhoneNumber,
    PostalLines,
    Slug,
    check_time_zone,
)
from parvis.common.town.deadline_rules import DeadlineRules, OpeningHalfDays
from parvis.common.town.form_fields import FormField


class PublicBody(ConfigModel):
    """Another public body for whose work citizens write to the town, such as the département or an association of towns."""

    slug: Slug
    name: LocalText
    phone: PhoneNumber
    email: MailAddress
    address: PostalLines


class Town(ConfigModel):
    """The town itself: `town.yaml`."""

    name: LocalText = Field(description="name with which the town signs", examples=[{"fr": "Mairie de Val-Exemple"}])
    fictional: bool = Field(default=False, description="shows on every page that the town is fictional")
    languages: tuple[Language, ...] = Field(
        min_length=1, description="languages of the town's own texts; the first is the default"
    )
    time_zone: Annotated[str, AfterValidator(check_time_zone)]
    holidays: str = Field(
        pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$",
        description="country, and region, whose public holidays are not working days",
        examples=["FR"],
    )
    mailbox: MailAddress = Field(description="the general mailbox")
    mail_domain: HostName = Field(description="domain of the mail addresses that we send from")
    sms_number: PhoneNumber
    phone: PhoneNumber = Field(description="the switchboard: a person answers")
    web_name: HostName = Field(description="host name of the public website")
    address: PostalLines = Field(description="address of the town hall: the return address of every letter")
    half_days: OpeningHalfDays = OpeningHalfDays()
    bodies: tuple[PublicBody, ...] = Field(
        default=(), max_length=100, description="other public bodies that departments may belong to"
    )
    clocks: DeadlineRules = Field(description="deadlines of contacts without a known procedure")

    def supported_language(self, language: str | None) -> str:
        """`language` if the town has texts in it, else the town's first language."""
        return language if language in self.languages else self.languages[0]


class Department(ConfigModel):
    """A queue with people behind it: an entry of `departments.yaml`."""

    slug: DepartmentSlug
    name: LocalText
    summary: LocalText = Field(description="what it does, in one sentence")
    phone: PhoneNumber
    email: MailAddress
    address: PostalLines
    opening_hours: LocalText
    body: Slug | None = Field(
        default=None, description="public body in town.yaml that it belongs to; without one, the town itself"
    )
    successor: DepartmentSlug | None = Field(
        default=None, description="set when it retires; its conversations go there"
    )
    cases_per_agent: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="the desk gives new cases in turn to the agents who are there, up to this many open cases each; without it "
        "people take them",
    )
    system_writes: tuple[Literal["reply.requested", "transfer.requested"], ...] = Field(
        default=(),
        description="what the department's own system may write on Kafka; none: it only reads. Kafka cannot tell whose "
        "conversation a request names, so this trusts the system with the whole town's",
    )


class Procedure(ConfigModel):
    """A public service that citizens can request: `procedures/<slug>.yaml`. The page itself asks for name, address and reply channel."""

    slug: Slug
    department: DepartmentSlug
    title: LocalText
    intro: LocalText
    anonymous: bool = Field(default=False, description="can be sent without giving a name")
    clocks: DeadlineRules
    form: tuple[FormField, ...] = Field(min_length=1, max_length=40)

    @model_validator(mode="after")
    def _check_field_names(self) -> "Procedure":
        names = [field.name for field in self.form]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two fields are named {', '.join(sorted(twice))}")
        return self


class TownConfig(ConfigModel):
    """The configuration of a town, checked as a whole: every name exists, successors end, every text is in every language."""

    town: Town
    departments: dict[str, Department]
    procedures: dict[str, Procedure]

    def department(self, slug: str) -> Department | None:
        return self.departments.get(slug)

    def procedure(self, slug: str | None) -> Procedure | None:
        return self.procedures.get(slug) if slug else None

    def current_department(self, slug: str) -> str:
        """The department that does the work of `slug` today: itself or its last successor; triage if it is unknown."""
        department = self.departments.get(slug)
        while department and department.successor:
            department = self.departments.get(department.successor)
        return department.slug if department else contact.TRIAGE

    def department_of_mailbox(self, address: str) -> Department | None:
        """The department with this mailbox; None if no department has it."""
        return self.departments_by_mailbox.get(address.strip().lower())

    @cached_property
    def own_addresses(self) -> frozenset[str]:
        """The mailboxes and numbers of the town and its departments: nobody's reply address."""
        town, departments = self.town, self.departments.values()
        return frozenset(
            {town.mailbox, town.sms_number, town.phone, *(v for d in departments for v in (d.email, d.phone))}
        )

    @cached_property
    def departments_by_mailbox(self) -> dict[str, Department]:
        """Departments by mail address; of two with the same one, the first."""
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
        """The public body that the department belongs to; None for the town itself."""
        known = self.departments.get(department)
        return known.body if known else None

    def body(self, slug: str | None) -> PublicBody | None:
        return next((body for body in self.town.bodies if body.slug == slug), None)

    def legal_deadlines(self, procedure: str | None) -> DeadlineRules:
        known = self.procedure(procedure)
        return known.clocks if known else self.town.clocks


def localized(text: Mapping[str, str], language: str | None) -> str:
    """The text in that language, else in the first one it has; empty if it has none."""
    return text.get(language or "") or next(iter(text.values()), "")
