"""Checks the Dockerfile with hadolint, and that each image's part of the lock is complete."""

from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import image
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from checks.tools import program, run

_ROOT = Path(__file__).resolve().parents[2]


def services() -> list[str]:
    return sorted(path.parent.name for path in _ROOT.glob("services/*/pyproject.toml"))


def lint() -> Iterator[str]:
    yield from run(program("hadolint"), "--no-color", "deploy/Dockerfile", cwd=_ROOT).stdout.splitlines()


def shares() -> Iterator[str]:
    """Check that each image's part of the lock holds the direct and indirect dependencies of its members."""
    lock = (_ROOT / "requirements.lock").read_text(encoding="utf-8")
    for service in (*services(), image.OPERATOR):
        members = image.members_of(service, _ROOT)
        there = image.names_in(image.share_of(lock, set(members))) | set(members)
        asked = {name: {Requirement(line) for line in image.dependencies(folder)} for name, folder in members.items()}
        for wanted, by in _needed(asked).items():
            if wanted not in there:
                yield f"image {service}: requirements.lock lacks {wanted}, which {by} needs: `make lock`"


def _needed(requirements_by_member: dict[str, set[Requirement]]) -> dict[str, str]:
    """Map each needed package to a package that requires it, as installed in this environment."""
    needed_by: dict[str, str] = {}
    waiting = [
        (requirement, name) for name, requirements in requirements_by_member.items() for requirement in requirements
    ]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement, by = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        needed_by.setdefault(name, by)
        waiting += [(more, name) for more in _asked_by(name, extras)]
    return needed_by


def _asked_by(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    """The requirements of an installed package on this machine; nothing if it is not installed."""
    with suppress(PackageNotFoundError):
        for line in requires(name) or []:
            requirement = Requirement(line)
            if not requirement.marker or any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                yield requirement
