"""Tests that no source reads a body without a bound, or asks for a class that a service's event loop does not have."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import python_files, shown

SOURCES = [path for path in python_files() if "/src/" in str(path)]
DOORS = [path for path in SOURCES if "/services/" in str(path) or "/libs/web/" in str(path)]
# FastAPI reads what these declare before the handler looks at token and origin, and Starlette's methods read any size.
UNBOUNDED_MARKERS = {"Form", "File", "Body", "UploadFile"}
UNBOUNDED_METHODS = {"body", "form", "json"}


def markers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "fastapi":
            yield from (alias.name for alias in node.names if alias.name in UNBOUNDED_MARKERS)
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="request"), attr=name)) if name in UNBOUNDED_METHODS:
                yield f"request.{name}"
            case ast.Attribute(value=ast.Name(id="fastapi"), attr=name) if name in UNBOUNDED_MARKERS:
                yield f"fastapi.{name}"
            case _:
                pass


@pytest.mark.parametrize("path", DOORS, ids=shown)
def test_no_door_reads_a_body_without_a_bound(path: Path):
    assert not list(markers(ast.parse(path.read_text())))


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_nobody_asks_for_the_class_of_a_transport(path: Path):
    """uvloop's transports are none of asyncio's classes: such a question is answered no in the service, and yes in a plain test."""
    asked = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance" and "Transport" in ast.unparse(node)
    ]

    assert not asked
