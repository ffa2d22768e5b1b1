"""Reads `access.yaml` of the town: which cases are confidential, and what claims of the identity provider grant."""

from pathlib import Path

from pydantic import Field

from parvis.common.town.config_types import ConfigModel
from parvis.common.town.models import TownConfig
from parvis.common.town.yaml_documents import YamlDocument, closest_match, read_document, validate_document
from parvis.desk.models.accounts import (
    EVERY_DEPARTMENT,
    AccessRules,
    ClaimGrant,
    ConfidentialCases,
    Confidentiality,
    Role,
    RoleGrant,
)


class ConfidentialEntry(ConfigModel):
    """One kind of confidential cases."""

    kind: Confidentiality
    departments: tuple[str, ...] = Field(default=(), description="all cases of these departments")
    procedures: tuple[str, ...] = Field(default=(), description="cases of these procedures, wherever they are")
    tags: tuple[str, ...] = Field(default=(), description="cases with a tag that a rule gave")


class ClaimEntry(ConfigModel):
    """A role for everybody whose login states a claim."""

    claim: str = Field(min_length=1, description="name of the claim", examples=["groups"])
    value: str = Field(min_length=1, description="its value, or one of its values")
    role: Role
    department: str = Field(description="department of the role; * for all")
    confidential: tuple[Confidentiality, ...] = ()


class AccessFile(ConfigModel):
    """The file `access.yaml`."""

    confidential: tuple[ConfidentialEntry, ...] = ()
    claims: tuple[ClaimEntry, ...] = ()


def load_access_rules(folder: Path, town_config: TownConfig) -> AccessRules:
    """Read and check the file. Without one, no case is confidential and claims grant nothing.

    Raises: Misconfigured, with file, line and fix.
    """
    path = folder / "access.yaml"
    if not path.exists():
        return AccessRules()
    document = read_document(path)
    read = validate_document(AccessFile, document, context={"languages": town_config.town.languages})
    _check_names(document, read, town_config)
    return AccessRules(
        ConfidentialCases(
            departments=_by_name([(slug, entry.kind) for entry in read.confidential for slug in entry.departments]),
            procedures=_by_name([(slug, entry.kind) for entry in read.confidential for slug in entry.procedures]),
            tags=_by_name([(tag, entry.kind) for entry in read.confidential for tag in entry.tags]),
        ),
        tuple(
            ClaimGrant(
                entry.claim,
                entry.value,
                RoleGrant(entry.role, entry.department, frozenset(entry.confidential), source="claims"),
            )
            for entry in read.claims
        ),
    )


def _by_name(pairs: list[tuple[str, Confidentiality]]) -> dict[str, frozenset[str]]:
    kinds: dict[str, frozenset[str]] = {}
    for name, kind in pairs:
        kinds[name] = kinds.get(name, frozenset()) | {kind}
    return kinds


def _check_names(document: YamlDocument, read: AccessFile, town_config: TownConfig) -> None:
    for index, entry in enumerate(read.confidential):
        for field, known in (("departments", town_config.departments), ("procedures", town_config.procedures)):
            for position, slug in enumerate(getattr(entry, field)):
                if slug not in known:
                    raise document.error(
                        f"unknown {field[:-1]} {slug!r}",
                        "confidential",
                        index,
                        field,
                        position,
                        mend=closest_match(slug, known),
                    )
    for index, entry in enumerate(read.claims):
        if entry.department != EVERY_DEPARTMENT and entry.department not in town_config.departments:
            raise document.error(
                f"unknown department {entry.department!r}",
                "claims",
                index,
                "department",
                mend=closest_match(entry.department, town_config.departments),
            )
