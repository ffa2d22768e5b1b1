"""Reads labelled texts from JSON Lines files, and removes duplicates."""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parvis.common.contract.errors import Misconfigured
from parvis.common.town.yaml_documents import closest_match

_SHAPE = 'each line is one JSON object: {"text": "...", "label": "...", "lang": "fr"}'


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled text. The label is a department; in an evaluation it may be any category."""

    text: str
    label: str
    language: str | None = None


def deduplicate(examples: Iterable[Example]) -> list[Example]:
    """Each distinct text once, with its last label: a duplicate would leak from training into test."""
    last = {" ".join(example.text.split()).casefold(): example for example in examples}
    return list(last.values())


def read_examples(path: Path, labels: Collection[str] | None = None) -> list[Example]:
    """Read a JSON Lines file; unknown members and empty lines are ignored. With `labels`, any other label is an error.

    Raises: Misconfigured, naming file and line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"cannot be read: {error.strerror}", file=path) from error
    examples = list(_parse_lines(path, content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace"), labels))
    if not examples:
        raise Misconfigured("contains no examples", file=path, mend=_SHAPE)
    return examples


def _parse_lines(path: Path, content: str, labels: Collection[str] | None) -> Iterator[Example]:
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Misconfigured("is not JSON", file=path, line=number, mend=_SHAPE) from error
        example = _parse_row(path, number, row)
        if labels is not None and example.label not in labels:
            raise Misconfigured(
                f"unknown department {example.label!r}",
                file=path,
                line=number,
                mend=closest_match(example.label, labels),
            )
        yield example


def _parse_row(path: Path, number: int, row: Any) -> Example:
    if not isinstance(row, dict):
        raise Misconfigured("is not a JSON object", file=path, line=number, mend=_SHAPE)
    text, label, language = row.get("text"), row.get("label"), row.get("lang")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if isinstance(label, int) and not isinstance(label, bool):
        label = str(label)
    if not isinstance(label, str) or not label.strip():
        raise Misconfigured("field `label` is missing or empty", file=path, line=number, mend=_SHAPE)
    if text is not None and not isinstance(text, str):
        raise Misconfigured("field `text` must be a string", file=path, line=number, mend=_SHAPE)
    return Example(text or "", label.strip(), language if isinstance(language, str) else None)
