"""Tests that log events are constants `noun.past_verb` with keys of the fixed list."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from parvis.common.runtime.redaction import ALLOWED_KEYS
from tests.house.tree import python_files, shown

LEVELS = {"debug", "info", "warning", "error", "exception"}
NAME = re.compile(r"[a-z]+(-[a-z]+)*\.[a-z]+(_[a-z]+)*")
SOURCES = [path for path in python_files() if "/src/" in str(path)]


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log" | "_log"), attr=level)) if level in LEVELS:
                yield node
            case _:
                pass


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_log_events_are_constants_with_known_keys(path: Path):
    for call in calls(ast.parse(path.read_text())):
        place = f"{shown(path)}:{call.lineno}"
        event = call.args[0] if call.args else None
        assert isinstance(event, ast.Constant), f"{place}: the event is not a constant"
        assert NAME.fullmatch(str(event.value)), f"{place}: {event.value!r} is not noun.past_verb"
        keys = {keyword.arg for keyword in call.keywords}
        assert keys <= ALLOWED_KEYS | {"exc_info"}, f"{place}: keys {keys - ALLOWED_KEYS} would be dropped"
