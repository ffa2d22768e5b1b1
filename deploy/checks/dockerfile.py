"""The Dockerfile and the lock in, what is wrong with them out."""

from collections.abc import Iterator
from pathlib import Path

import image

from checks.tools import program, run

_ROOT = Path(__file__).resolve().parents[2]


def services() -> list[str]:
    return sorted(path.parent.name for path in _ROOT.glob("services/*/pyproject.toml"))


def lint() -> Iterator[str]:
    yield from run(program("hadolint"), "--no-color", "deploy/Dockerfile", cwd=_ROOT).stdout.splitlines()


def shares() -> Iterator[str]:
    """Each image's share of the lock holds what its members ask for."""
    lock = (_ROOT / "requirements.lock").read_text(encoding="utf-8")
    for service in (*services(), image.OPERATOR):
        members = image.members_of(service, _ROOT)
        locked = image.names_in(image.share_of(lock, set(members)))
        for name, folder in members.items():
            for wanted in image.dependencies(folder / "pyproject.toml"):
                if wanted not in locked and wanted not in members:
                    yield f"image {service}: requirements.lock lacks {wanted}, which {name} needs: `make lock`"
