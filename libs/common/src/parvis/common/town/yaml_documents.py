"""Reads YAML files strictly and validates them, so that every error names the file, the line and the fix."""

import difflib
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from parvis.common.contract.errors import Misconfigured

KeyPath = tuple[str | int, ...]
ModelT = TypeVar("ModelT", bound=BaseModel)

LARGEST_FILE_BYTES = 1024 * 1024
DEEPEST_NESTING = 40


@dataclass(frozen=True)
class YamlDocument:
    """One file: its values, and the line of each."""

    file: Path
    value: Any
    lines: Mapping[KeyPath, int]

    def line(self, *key_path: str | int) -> int:
        """The line of the value at `key_path`, or of the nearest value around it."""
        nearest: KeyPath = ()
        for step in key_path:
            # pydantic's locations also name the member of a union, which is not in the file.
            if (*nearest, step) in self.lines:
                nearest = (*nearest, step)
        return self.lines.get(nearest, 1)

    def error(self, fact: str, *key_path: str | int, mend: str = "") -> Misconfigured:
        """The error for what is wrong at `key_path`."""
        return Misconfigured(fact, file=self.file, line=self.line(*key_path), mend=mend)


class _StrictLoader(yaml.SafeLoader):
    """YAML 1.2's plain scalars, so that `no` and `08:30` stay text; no anchors, no tags, no duplicate keys."""

    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _YamlError("anchors and aliases are not allowed", event.start_mark, "Write the value out.")
        if getattr(event, "tag", None):
            raise _YamlError(f"the tag {event.tag} is not allowed", event.start_mark, "Remove it.")
        self.depth += 1
        if self.depth > DEEPEST_NESTING:
            raise _YamlError(f"nested deeper than {DEEPEST_NESTING} levels", event.start_mark, "Use fewer levels.")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_StrictLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|)$", ["~", "n", ""]),
    ("bool", r"^(?:true|false)$", list("tf")),
    ("int", r"^[-+]?(?:0|[1-9][0-9]{0,17})$", list("-+0123456789")),
    ("float", r"^[-+]?(?:0|[1-9][0-9]*)\.[0-9]+$", list("-+0123456789")),
):
    _StrictLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


class _YamlError(Exception):
    def __init__(self, fact: str, mark: yaml.Mark, mend: str) -> None:
        super().__init__(fact)
        self.fact, self.line, self.mend = fact, mark.line + 1, mend


def read_document(path: Path) -> YamlDocument:
    """Read one YAML file.

    Raises: Misconfigured, with the line, for what cannot be read: missing, not UTF-8, not YAML, a duplicate key, an alias.
    """
    text = _read_text(path)
    lines: dict[KeyPath, int] = {}
    try:
        node = _StrictLoader(text).get_single_node()
        value = None if node is None else _convert_node(node, (), lines)
    except _YamlError as error:
        raise Misconfigured(error.fact, file=path, line=error.line, mend=error.mend) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        fact = f"invalid YAML: {error.problem or error.context}"
        mend = "Check the indentation, the colons and the quotation marks."
        raise Misconfigured(fact, file=path, line=mark.line + 1 if mark else 1, mend=mend) from error
    except yaml.YAMLError as error:
        raise Misconfigured("invalid YAML: there is a control character", file=path, mend="Remove it.") from error
    if not isinstance(value, dict):
        raise Misconfigured("the file is not a mapping", file=path, line=1, mend="Begin it with `name: value` lines.")
    return YamlDocument(file=path, value=value, lines=lines)


def validate_document(
    model: type[ModelT], document: YamlDocument, *, context: Mapping[str, Any] | None = None
) -> ModelT:
    """The document as a model.

    Raises: Misconfigured, with the line of the first wrong value and, for an unknown key, the one that was likely meant.
    """
    try:
        return model.model_validate(document.value, context=dict(context or {}))
    except ValidationError as error:
        # An unknown key is the likely cause of a missing one, so it comes first.
        details = sorted(
            error.errors(include_url=False, include_input=False), key=lambda e: e["type"] != "extra_forbidden"
        )
        first, others = details[0], len(details) - 1
        key_path: KeyPath = tuple(first["loc"])
        fact = f"{_dotted(key_path)}: {_describe_error(first)}" + (
            f" ({others} more {'problem' if others == 1 else 'problems'} in this file)" if others else ""
        )
        raise document.error(fact, *key_path, mend=_suggest_fix(first, model)) from None


def closest_match(word: str, known: Iterable[str]) -> str:
    """The advice for an unknown word: the known one that was likely meant, else all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Use one of: {', '.join(names)}." if names else ""


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        fact = f"the file cannot be read: {error.strerror}"
        raise Misconfigured(fact, file=path, mend="Check the path and its permissions.") from error
    if len(raw) > LARGEST_FILE_BYTES:
        raise Misconfigured("the file is larger than 1 MiB", file=path, mend="Make it shorter.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise Misconfigured("the file is not UTF-8", file=path, line=line, mend="Save it as UTF-8.") from error


def _convert_node(node: Node, key_path: KeyPath, lines: dict[KeyPath, int]) -> Any:
    lines[key_path] = node.start_mark.line + 1
    if isinstance(node, MappingNode):
        return _convert_mapping(node, key_path, lines)
    if isinstance(node, SequenceNode):
        return [_convert_node(child, (*key_path, index), lines) for index, child in enumerate(node.value)]
    assert isinstance(node, ScalarNode)  # noqa: S101 - the composer has only these three
    return _SCALARS.get(node.tag.rpartition(":")[2], str)(node.value)


_SCALARS: Mapping[str, Callable[[str], Any]] = {
    "null": lambda _: None,
    "bool": lambda text: text == "true",
    "int": int,
    "float": float,
}


def _convert_mapping(node: MappingNode, key_path: KeyPath, lines: dict[KeyPath, int]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, ScalarNode):
            raise _YamlError("a key must be a word", key_node.start_mark, "Write `name: value`.")
        key = key_node.value
        if key in values:
            raise _YamlError(f"the key {key!r} appears twice", key_node.start_mark, "Keep one of the two.")
        values[key] = _convert_node(value_node, (*key_path, key), lines)
        lines[(*key_path, key)] = key_node.start_mark.line + 1
    return values


def _dotted(key_path: KeyPath) -> str:
    return ".".join(str(step) for step in key_path) or "the file"


def _describe_error(error: Any) -> str:
    facts = {"missing": "this key is missing", "extra_forbidden": "unknown key"}
    message: str = facts.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _suggest_fix(error: Any, model: type[BaseModel]) -> str:
    if error["type"] == "extra_forbidden":
        return closest_match(str(error["loc"][-1]), _field_names(model, set()))
    if error["type"] == "missing":
        return f"Add `{error['loc'][-1]}:`."
    return "Compare with the file of the same name in config/example-town."


def _field_names(annotation: Any, seen: set[Any]) -> set[str]:
    """Every key of the model and of the models within it."""
    if annotation in seen:
        return set()
    seen.add(annotation)
    names: set[str] = set()
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            names |= {field.alias or name} | _field_names(field.annotation, seen)
    for part in typing.get_args(annotation):
        if isinstance(part, type) or typing.get_args(part):
            names |= _field_names(part, seen)
    return names
