"""Tests the shape of the tree: short files, one licence, man pages, no vague folder names."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.house.tree import ROOT, python_files, services, shown, tracked

SECTIONS = ("NAME", "SUMMARY", "READS", "WRITES", "SETTINGS", "LOG EVENTS", "SECURITY", "BUGS")
ROOMS = {"utils", "util", "helpers", "helper", "misc", "manager", "managers", "handlers", "data"}


def test_no_file_is_longer_than_300_lines_and_no_test_than_400():
    lines = {path: len(path.read_text().splitlines()) for path in python_files()}
    long = {shown(path): count for path, count in lines.items() if count > (400 if "tests" in path.parts else 300)}

    assert not long


def test_the_namespace_has_no_init():
    assert not [shown(path) for path in tracked() if path.name == "__init__.py" and path.parent.name == "parvis"]


def test_no_room_is_called_utils():
    assert not [
        shown(path) for path in python_files() if path.stem in ROOMS or ROOMS & set(path.relative_to(ROOT).parts)
    ]


@pytest.mark.parametrize(
    "member", sorted({*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")}), ids=shown
)
def test_every_member_has_one_name_and_the_licence(member: Path):
    project = tomllib.loads(member.read_text())
    folder = member.parent.name

    assert project["project"]["name"] == f"parvis-{folder}"
    assert project["project"]["license"] == "Apache-2.0"
    assert project["tool"]["uv"]["build-backend"]["module-name"] == f"parvis.{folder.replace('-', '_')}"


def test_every_service_is_under_the_contract_of_floors():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    held = next(contract["containers"] for contract in contracts if contract["type"] == "layers")

    assert held == [f"parvis.{service.name.replace('-', '_')}" for service in services()]


@pytest.mark.parametrize("service", services(), ids=shown)
def test_every_service_has_a_man_page(service: Path):
    page = (service / "README.md").read_text()
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)

    assert [heading for heading in headings if heading in SECTIONS] == list(SECTIONS)


@pytest.mark.parametrize("service", services(), ids=shown)
def test_every_main_is_two_lines(service: Path):
    main = service / "src" / "parvis" / service.name.replace("-", "_") / "__main__.py"
    code = [line for line in main.read_text().splitlines() if line and not line.startswith(('"""', "#"))]

    assert len(code) == 2


def test_no_link_of_a_page_is_broken():
    broken: list[str] = []
    for page in (path for path in tracked() if path.suffix == ".md"):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists():
                broken.append(f"{shown(page)} → {target}")

    assert not broken
