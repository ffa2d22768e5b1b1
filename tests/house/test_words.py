"""Checks that names and docstrings explain themselves: verbs first, one class a name, no file named after its layer."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.house.tree import python_files, services, shown

SOURCES = [path for path in python_files() if "/src/" in str(path)]
VERB_FIRST = re.compile(r"[A-Z][a-z]+s\b")
IDIOM = re.compile(r"\bin(?: \w+)?, [^.]*\bout\b|^Again\b")
LAYERS = {"tables", "rules", "decide", "store", "verify", "render", "read", "misc", "common", "helpers"}
SHARED_BY_ROLE = {"Settings"}  # one in each service's settings.py


def first_line(path: Path) -> str | None:
    text = ast.get_docstring(ast.parse(path.read_text()))
    return text.splitlines()[0] if text else None


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_a_module_docstring_begins_with_a_verb(path: Path):
    line = first_line(path)
    if line is None:
        assert not path.read_text().strip(), f"{shown(path)} has no docstring"
        return
    assert VERB_FIRST.match(line), line
    assert not IDIOM.search(line), line


def test_a_public_class_name_exists_once():
    where: dict[str, list[str]] = defaultdict(list)
    for path in SOURCES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].append(shown(path))

    assert {name: paths for name, paths in where.items() if len(paths) > 1 and name not in SHARED_BY_ROLE} == {}


def test_no_file_of_a_service_is_named_after_its_layer():
    named = [
        shown(path)
        for service in services()
        for path in service.glob("src/parvis/*/**/*.py")
        if path.stem in LAYERS and path.parent.name != "commands"  # named after its sub-command
    ]

    assert not named
