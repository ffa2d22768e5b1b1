"""Tests that each loop, repeated step and handler over stored or fetched items is named with the test of a poisoned item."""

import ast
import tomllib
from collections.abc import Iterator

from tests.house.test_named_tests import TESTS
from tests.house.tree import ROOT, python_files

REGISTRY = tomllib.loads((ROOT / "tests" / "house" / "loops.toml").read_text())


def loops_over_items() -> set[str]:
    """`package/module.py:Class.name` of every function with a loop over stored or fetched items, and of every step and handler.

    A loop is a `while` that ends when the service stops, `while True` or `async for`; a step is what `run_every` or `repeat` is
    given, a handler what a consumer is given as `handle`: these are named as the caller writes them, `rules.poll`.
    """
    found = set[str]()
    for path in python_files():
        if "/src/parvis/" not in str(path) or path.is_relative_to(ROOT / "libs" / "local"):
            continue
        module = str(path).partition("/src/parvis/")[2]
        tree = ast.parse(path.read_text())
        found |= {f"{module}:{name}" for name in _looping_functions(tree)}
        calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
        found |= {f"{module}:{_name_of(step)}" for call in calls for step in _steps(call)}
    return found


def _looping_functions(scope: ast.AST, prefix: str = "") -> Iterator[str]:
    """The qualified names of the functions that loop; an inner function's loop is its own and that of each around it."""
    for node in ast.iter_child_nodes(scope):
        name = f"{prefix}{node.name}" if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else ""
        if name and not isinstance(node, ast.ClassDef) and _loops(node):
            yield name
        yield from _looping_functions(node, f"{name}." if name else prefix)


def _loops(function: ast.AST) -> bool:
    return any(
        (isinstance(node, ast.While) and ("stopping" in ast.unparse(node.test) or ast.unparse(node.test) == "True"))
        or isinstance(node, ast.AsyncFor)
        or (isinstance(node, ast.comprehension) and node.is_async)
        for node in ast.walk(function)
    )


def _steps(call: ast.Call) -> list[ast.expr]:
    """The functions that this call runs again and again."""
    handlers = [keyword.value for keyword in call.keywords if keyword.arg == "handle"]
    repeats = isinstance(call.func, ast.Name) and call.func.id in ("run_every", "repeat")
    return [*handlers, *(call.args[1:2] if repeats else ())]


def _name_of(step: ast.expr) -> str:
    """`outbox.purge` as it is, `sweep` of `partial(sweep, database)`, `CaseProjection.handle` of `CaseProjection(cases).handle`."""
    if isinstance(step, ast.Call):
        is_partial = isinstance(step.func, ast.Name) and step.func.id == "partial"
        return _name_of(step.args[0] if is_partial else step.func)
    return f"{_name_of(step.value)}.{step.attr}" if isinstance(step, ast.Attribute) else ast.unparse(step)


def test_every_loop_is_registered_and_no_other():
    registered = REGISTRY["poisoned_item"].keys() | REGISTRY["no_items"].keys()

    assert loops_over_items() ^ registered == set()


def test_the_test_of_each_poisoned_item_exists():
    assert set(REGISTRY["poisoned_item"].values()) - TESTS == set()
