#!/usr/bin/env python3
"""Writes the folder that a service's image is built from: sources of its members, its part of the lock, its entry point."""

import argparse
import re
import shutil
import sys
import tomllib
from pathlib import Path

OPERATOR = "operator"  # the image with every service's code, so with every `parvis` command and migration
_COPIED = ("pyproject.toml", "README.md", "LICENSE", "src", "migrations")  # of each member: no tests and no samples
_ENTRY = re.compile(r"^([a-z0-9][a-z0-9._-]*)==")
_REQUIRED_BY = re.compile(r"^ {4}# (?:via +|  +)([a-z0-9][a-z0-9._-]*)")


def members_of(service: str, root: Path) -> dict[str, Path]:
    """Name and folder of each workspace member in a service's image: the service, and the libs it depends on.

    Raises: LookupError, if there is no such service.
    """
    folders = {
        _name(file): file.parent for kind in ("libs", "services") for file in root.glob(f"{kind}/*/pyproject.toml")
    }
    services = sorted(path.name for path in folders.values() if path.parent.name == "services")
    wanted = services if service == OPERATOR else [service]
    if unknown := [name for name in wanted if name not in services]:
        msg = f"no service is called {unknown[0]!r}: choose one of {', '.join(services)}, or {OPERATOR}"
        raise LookupError(msg)
    members: dict[str, Path] = {}
    waiting = [f"parvis-{name}" for name in wanted]
    while waiting:
        name = waiting.pop()
        if name in folders and name not in members:
            members[name] = folders[name]
            waiting += [_bare(requirement) for requirement in dependencies(folders[name])]
    return dict(sorted(members.items()))


def share_of(lock: str, members: set[str]) -> str:
    """The entries of the lock that these members need, directly or indirectly, with their hashes.

    Shape: as `uv export` writes it: an entry begins in column 1, and its `# via` comments name the requirers.
    """
    entries = _entries(lock)
    needed, grown = set(members), True
    while grown:
        more = {name for name, _, required_by in entries if name not in needed and required_by & needed}
        needed |= more
        grown = bool(more)
    return "".join(text for name, text, _ in entries if name in needed)


def entry_of(lock: str, package: str) -> str:
    """One package's lines of the lock.

    Raises: LookupError, if the lock lacks it.
    """
    for name, text, _ in _entries(lock):
        if name == package:
            return text
    msg = f"requirements.lock has no {package}"
    raise LookupError(msg)


def names_in(lock: str) -> set[str]:
    return {name for name, _, _ in _entries(lock)}


def start_of(service: str) -> str:
    """The script of the image's entry point. It execs, so that SIGTERM reaches the service as process 1."""
    command = "parvis" if service == OPERATOR else f"python -m parvis.{service.replace('-', '_')}"
    return f'#!/bin/sh\nexec {command} "$@"\n'


def lay_out(service: str, root: Path, into: Path) -> None:
    """Write into/uv.txt, into/requirements.txt and into/app."""
    lock = (root / "requirements.lock").read_text(encoding="utf-8")
    members = members_of(service, root)
    app = into / "app"
    app.mkdir(parents=True)
    (into / "uv.txt").write_text(entry_of(lock, "uv"), encoding="utf-8")
    (into / "requirements.txt").write_text(share_of(lock, set(members)), encoding="utf-8")
    for folder in members.values():
        for name in _COPIED:
            _copy(folder / name, app / folder.relative_to(root) / name)
    (app / "members.txt").write_text(
        "".join(f"--editable ./{folder.relative_to(root)}\n" for folder in members.values()), encoding="utf-8"
    )
    start = app / "start"
    start.write_text(start_of(service), encoding="utf-8")
    start.chmod(0o755)


def _entries(lock: str) -> list[tuple[str, str, set[str]]]:
    """Name, text and requirers of each entry."""
    entries: list[tuple[str, str, set[str]]] = []
    for line in lock.splitlines(keepends=True):
        if entry := _ENTRY.match(line):
            entries.append((entry[1], line, set()))
        elif entries and line.startswith(" "):
            name, text, required_by = entries[-1]
            if requirer := _REQUIRED_BY.match(line):
                required_by.add(requirer[1])
            entries[-1] = (name, text + line, required_by)
    return entries


def _name(pyproject: Path) -> str:
    return tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["name"]


def dependencies(member: Path) -> list[str]:
    """The dependencies in a member's pyproject.toml."""
    return tomllib.loads((member / "pyproject.toml").read_text(encoding="utf-8"))["project"].get("dependencies", [])


def _bare(requirement: str) -> str:
    """`parvis-common[x]>=1` → `parvis-common`."""
    return re.split(r"[^a-zA-Z0-9._-]", requirement, maxsplit=1)[0].lower()


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    elif source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("service")
    arguments.add_argument("into", type=Path)
    chosen = arguments.parse_args()
    try:
        lay_out(chosen.service, Path(__file__).resolve().parents[1], chosen.into)
    except LookupError as error:
        sys.stderr.write(f"image: {error}\n")
        return 78
    return 0


if __name__ == "__main__":
    sys.exit(main())
