"""Tests that no application redirects to the Host header: a path with one slash too many is unknown."""

import ast

from tests.house.tree import python_files, shown


def test_every_application_is_built_without_redirects_of_slashes():
    for path in python_files():
        if "/src/" not in str(path):
            continue
        for call in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Name)
                and call.func.id in {"FastAPI", "Starlette"}
            ):
                values = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
                assert values.get("redirect_slashes") == "False", f"{shown(path)}:{call.lineno}"
