"""Tests that docs/follow-a-contact.md lists files that exist, with functions that are in them, and that the lists stay short."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT

PAGE = ROOT / "docs" / "follow-a-contact.md"
TOLD = re.compile(r"`(\w+)` (?:in|\() ?`(\w+/\w+\.py)`")  # a function and its file, in the last column
STOP = re.compile(r"^\| \d+ \| `([^`]+)` \| `([^`]+)` \|", re.MULTILINE)
SMS, TRANSFER = (STOP.findall(part) for part in PAGE.read_text().split("\n## ")[1:])


@pytest.mark.parametrize(("file", "name"), sorted({*SMS, *TRANSFER}))
def test_each_file_exists_and_has_the_function(file: str, name: str):
    path = ROOT / "services" / Path(file.replace("…", "src/parvis"))

    assert path.is_file()
    assert name in set(_names(ast.parse(path.read_text())))


def test_what_the_last_column_names_is_there_too():
    told = TOLD.findall(PAGE.read_text())

    assert told
    for name, file in told:
        found = [
            name for path in ROOT.glob(f"*/*/src/parvis/*/{file}") if name in set(_names(ast.parse(path.read_text())))
        ]
        assert found, f"{name} is not in {file}"


def test_an_sms_passes_20_files_at_most_and_a_transfer_12():
    assert 0 < len({file for file, _ in SMS}) <= 20
    assert 0 < len({file for file, _ in TRANSFER}) <= 12


def test_the_path_goes_straight_down_and_never_returns_to_a_file():
    for stops in (SMS, TRANSFER):
        files = [file for file, _ in stops]
        assert len(files) == len(set(files))


def _names(tree: ast.AST, prefix: str = "") -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield f"{prefix}{node.name}"
            if isinstance(node, ast.ClassDef):
                yield from _names(node, f"{node.name}.")
