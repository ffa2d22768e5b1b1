"""Describes the shape of `rules.yaml`. Data only."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from parvis.common.contract.contact import ChannelName, DepartmentSlug, Language
from parvis.common.contract.routing.decisions import Tag
from parvis.common.town.config_types import ConfigModel, LocalText

Urgency = Literal["normal", "high", "immediate"]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Term = Annotated[str, Field(min_length=1, max_length=200)]
Terms = Annotated[tuple[Term, ...], BeforeValidator(_as_list)]
NearTerms = Annotated[tuple[Annotated[str, Field(min_length=3, max_length=1000)], ...], BeforeValidator(_as_list)]
LexiconName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]{1,40}$")]
Domain = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]
MediaType = Annotated[str, StringConstraints(pattern=r"^[a-z]+/(\*|[a-z0-9.+-]+)$")]
Postcode = Annotated[str, StringConstraints(pattern=r"^[0-9A-Z][0-9A-Z -]{0,9}$")]


class WordConditions(ConfigModel):
    """Words or phrases in the subject, the text or the form's answers; capitals, accents and plurals do not matter."""

    any_: Terms = Field(default=(), alias="any", description="at least one of them")
    all_: Terms = Field(default=(), alias="all", description="each of them")
    none_: Terms = Field(default=(), alias="none", description="not one of them")
    near: NearTerms = Field(
        default=(),
        description="as good as `any`: `gaz & odeur | fuite*` asks for one word of each part, near each other in any order, each with one typing error",
    )
    unless: Terms = Field(default=(), description="phrases whose words `near` does not look at, such as `facture gaz`")

    @model_validator(mode="after")
    def _check_not_empty(self) -> "WordConditions":
        if not (self.any_ or self.all_ or self.near):
            raise ValueError("`words` needs `any`, `all` or `near`: `none` alone would match almost everything")
        return self


class RuleConditions(ConfigModel):
    """Conditions; all that are stated must hold."""

    channel: Annotated[tuple[ChannelName, ...], BeforeValidator(_as_list)] = ()
    to: Terms = Field(default=(), description="our numbers, mailboxes, forms or scanners")
    procedure: Terms = ()
    language: Annotated[tuple[Language, ...], BeforeValidator(_as_list)] = ()
    machine_sent: bool | None = None
    sender_domain: Annotated[tuple[Domain, ...], BeforeValidator(_as_list)] = Field(
        default=(), description="of the sender's mail address, or a domain above it"
    )
    postcode: Annotated[tuple[Postcode, ...], BeforeValidator(_as_list)] = Field(
        default=(), description="the beginning of the postcode of the sender's or the form's address"
    )
    attachment: Annotated[tuple[MediaType, ...], BeforeValidator(_as_list)] = Field(
        default=(),
        description="the media type of at least one attachment, detected from its content; image/* matches any image",
    )
    area: Terms = Field(
        default=(), description="the area of the place, by territory.yaml; if it is ambiguous, a person decides"
    )
    words: WordConditions | None = None
    patterns: Terms = Field(
        default=(), description="RE2; at least one of them; matched against lower case without accents"
    )

    @model_validator(mode="after")
    def _check_not_empty(self) -> "RuleConditions":
        if not self.model_fields_set:
            raise ValueError(
                "a rule needs a condition: without one it would match everything, and `triage` already takes what nothing else matched"
            )
        return self


class RuleOutcome(ConfigModel):
    department: DepartmentSlug
    procedure: str | None = None
    urgency: Urgency = "normal"
    tags: Annotated[tuple[Tag, ...], BeforeValidator(_as_list)] = Field(
        default=(), max_length=8, description="labels for the department; those of every rule that matches are shown"
    )


class Rule(ConfigModel):
    id: str = Field(
        pattern=r"^[a-z][a-z0-9-]{1,60}$", description="recorded in every decision; keep it when you edit the rule"
    )
    priority: int = Field(
        default=50,
        ge=0,
        le=100,
        description="the matching rule with the highest priority decides; among equals, the first in the file",
    )
    hard: bool = Field(
        default=False, description="applies before the form's procedure and the mailbox; no model overrides it"
    )
    until: date | None = Field(
        default=None, description="the last day on which the rule applies, in the town's time zone"
    )
    when: RuleConditions
    then: RuleOutcome
    reason: LocalText | None = Field(default=None, description="one sentence that a citizen may read")


class RulesFile(ConfigModel):
    lexicon: dict[LexiconName, Terms] = Field(
        default_factory=dict, description="words and phrases under a name, which `near` and `unless` use as `@name`"
    )
    rules: tuple[Rule, ...] = Field(max_length=5000)
