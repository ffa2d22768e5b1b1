"""Tests that each loop of a service over stored or fetched items is named with the test of a poisoned item."""

import ast
import tomllib

from tests.house.test_named_tests import TESTS
from tests.house.tree import ROOT, python_files

REGISTRY = tomllib.loads((ROOT / "tests" / "house" / "loops.toml").read_text())


def loops_until_stopped() -> set[str]:
    """`package/module.py:function` of every function with a `while` that ends when the service stops."""
    found = set[str]()
    for path in python_files():
        if "/src/parvis/" not in str(path) or path.is_relative_to(ROOT / "libs" / "local"):
            continue
        module = str(path).partition("/src/parvis/")[2]
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and _stops(function):
                found.add(f"{module}:{function.name}")
    return found


def _stops(function: ast.AST) -> bool:
    return any(isinstance(node, ast.While) and "stopping" in ast.unparse(node.test) for node in ast.walk(function))


def test_every_loop_is_registered_and_no_other():
    registered = REGISTRY["poisoned_item"].keys() | REGISTRY["no_items"].keys()

    assert loops_until_stopped() ^ registered == set()


def test_the_test_of_each_poisoned_item_exists():
    assert set(REGISTRY["poisoned_item"].values()) - TESTS == set()
