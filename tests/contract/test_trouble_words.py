"""Tests that the desk has words for every reason by which a door says that something could not be read."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from parvis.desk.render.view_models import describe_remark
from parvis.web.translations import Translations

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "services/ingest-email/src",
    "services/ingest-sms/src",
    "services/ingest-postal/src",
    "libs/common/src/parvis/common/files",
)
_SAYING = {"find_stand_in", "_explain_unreadable"}  # functions that give a reason
_CALLS = {"add_trouble", "_MediaRefused"}


def _text(node: ast.expr | None) -> str | None:
    """A literal text; each value that is filled in is a number."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _reasons(tree: ast.AST) -> Iterator[str | None]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            yield from (_text(one.value) for one in node.keywords if one.arg == "trouble")
            if name in _CALLS and node.args:
                yield _text(node.args[0])
        elif isinstance(node, ast.FunctionDef) and node.name in _SAYING:
            yield from (_text(one.value) for one in ast.walk(node) if isinstance(one, ast.Return))


REASONS = sorted(
    {
        reason
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("*.py")
        for reason in _reasons(ast.parse(file.read_text(encoding="utf-8")))
        if reason
    }
)
WORDS = Translations.read(ROOT / "services/desk/src/parvis/desk/words", languages=("fr", "en"))


def test_the_reasons_are_found() -> None:
    assert len(REASONS) > 15


@pytest.mark.parametrize(
    "reason", [*REASONS, "the mail parsing worker stopped (exit 1)", "inspection took longer than 30 s"]
)
@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_reason_is_a_sentence_of_the_page(reason: str, language: str) -> None:
    said = describe_remark(WORDS, "trouble", reason, language)
    assert said != reason or language == "en"
    assert "{" not in said
