"""Tests that the tests which the documentation names exist."""

import re
from pathlib import Path

import pytest

from tests.house.tree import python_files

ROOT = Path(__file__).parents[2]
PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if re.search(r"`test_[a-z0-9_]+`", page.read_text())]
TESTS = {
    name
    for path in python_files()
    if path.name.startswith("test_")
    for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_tests_that_a_page_names_exist(page: Path):
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", page.read_text()))

    assert named - TESTS == set()


def test_every_failure_class_has_its_row():
    table = (ROOT / "docs" / "operate" / "deliveries.md").read_text()
    classes = ("permanent", "temporary", "opted-out", "unreachable", "too-long", "refused", "budget", "no-address")

    rows = [next((line for line in table.splitlines() if line.startswith(f"| `{name}`")), "") for name in classes]

    assert [name for name, row in zip(classes, rows, strict=True) if "`test_" not in row] == []
