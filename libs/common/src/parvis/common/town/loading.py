"""Loads a town's configuration folder into a TownConfig, or says which line to fix."""

from pathlib import Path

from pydantic import Field

from parvis.common.contract.contact import TRIAGE
from parvis.common.contract.errors import Misconfigured
from parvis.common.town.config_types import ConfigModel
from parvis.common.town.models import Department, Procedure, Town, TownConfig
from parvis.common.town.yaml_documents import YamlDocument, closest_match, read_document, validate_document


class _DepartmentsFile(ConfigModel):
    departments: tuple[Department, ...] = Field(min_length=1)


def load_town_config(path: Path) -> TownConfig:
    """Read and check `town.yaml`, `departments.yaml` and `procedures/*.yaml`.

    Raises: Misconfigured, with file, line and fix.
    """
    if not path.is_dir():
        raise Misconfigured("not a folder", file=path, mend="Give the folder that contains town.yaml.")
    town = _load_town(path / "town.yaml")
    departments = _load_departments(path / "departments.yaml", town)
    procedures = _load_procedures(path / "procedures", town, departments)
    return TownConfig(town=town, departments=departments, procedures=procedures)


def _load_town(path: Path) -> Town:
    document = read_document(path)
    languages = document.value.get("languages")
    context = {"languages": tuple(languages)} if isinstance(languages, list) and all(map(_is_text, languages)) else {}
    return validate_document(Town, document, context=context)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _load_departments(path: Path, town: Town) -> dict[str, Department]:
    document = read_document(path)
    listed = validate_document(_DepartmentsFile, document, context={"languages": town.languages}).departments
    departments: dict[str, Department] = {}
    for index, department in enumerate(listed):
        if department.slug in departments:
            raise document.error(
                f"two departments have the slug {department.slug!r}",
                "departments",
                index,
                "slug",
                mend="Rename one of them.",
            )
        departments[department.slug] = department
    if TRIAGE not in departments:
        raise document.error(f"there is no department {TRIAGE!r}", mend="Add it: it receives what no rule matches.")
    _check_mailboxes(document, listed)
    _check_bodies(document, listed, town)
    _check_successors(document, listed, departments)
    return departments


def _check_mailboxes(document: YamlDocument, listed: tuple[Department, ...]) -> None:
    owners: dict[str, str] = {}
    for index, department in enumerate(listed):
        owner = owners.setdefault(department.email, department.slug)
        if owner != department.slug and not department.successor:
            raise document.error(
                f"{department.slug!r} has the same mailbox as {owner!r}",
                "departments",
                index,
                "email",
                mend="Give each department a mailbox of its own.",
            )


def _check_bodies(document: YamlDocument, listed: tuple[Department, ...], town: Town) -> None:
    known = [body.slug for body in town.bodies]
    for index, department in enumerate(listed):
        if department.body and department.body not in known:
            mend = closest_match(department.body, known) if known else "Describe it under `bodies:` in town.yaml."
            raise document.error(f"unknown body {department.body!r}", "departments", index, "body", mend=mend)
        if department.slug == TRIAGE and department.body:
            raise document.error(
                f"{TRIAGE!r} belongs to the town itself", "departments", index, "body", mend="Remove its `body:`."
            )


def _check_successors(
    document: YamlDocument, listed: tuple[Department, ...], departments: dict[str, Department]
) -> None:
    for index, department in enumerate(listed):
        key_path = ("departments", index, "successor")
        chain = [department.slug]
        while (successor := departments[chain[-1]].successor) is not None:
            if successor not in departments:
                raise document.error(
                    f"the successor {successor!r} is not a department",
                    *key_path,
                    mend=closest_match(successor, departments),
                )
            chain.append(successor)
            if successor in chain[:-1]:
                raise document.error(
                    f"the successors form a circle: {' → '.join(chain)}", *key_path, mend="Remove one of them."
                )
    if departments[TRIAGE].successor:
        index = [department.slug for department in listed].index(TRIAGE)
        raise document.error(
            f"{TRIAGE!r} cannot retire", "departments", index, "successor", mend="Remove its `successor:`."
        )


def _load_procedures(folder: Path, town: Town, departments: dict[str, Department]) -> dict[str, Procedure]:
    if not folder.is_dir():
        raise Misconfigured("the folder is missing", file=folder, mend="Create it; it may be empty.")
    procedures: dict[str, Procedure] = {}
    for path in sorted(folder.glob("*.yaml")):
        document = read_document(path)
        procedure = validate_document(Procedure, document, context={"languages": town.languages})
        if procedure.slug != path.stem:
            raise document.error(
                f"the slug {procedure.slug!r} differs from the file name",
                "slug",
                mend=f"Rename the file to {procedure.slug}.yaml.",
            )
        check_department(procedure.department, departments, document, "department")
        procedures[procedure.slug] = procedure
    return procedures


def check_department(
    slug: str, departments: dict[str, Department], document: YamlDocument, *key_path: str | int
) -> None:
    """Checks that work can be sent to a department. Raises: Misconfigured, if it does not exist or has retired."""
    department = departments.get(slug)
    if department is None:
        raise document.error(f"unknown department {slug!r}", *key_path, mend=closest_match(slug, departments))
    if department.successor:
        raise document.error(f"department {slug!r} has retired", *key_path, mend=f"Use {department.successor!r}.")
