"""Files of sorted texts in, examples out; what is no such file is refused with its line."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from parvis.common.contract.errors import Misconfigured
from parvis.common.town.yaml_documents import closest_match
from parvis.router.decide.classifier.examples import Example

_SHAPE = 'each line is one JSON object: {"text": "...", "label": "...", "lang": "fr"}'


def read_examples(path: Path, labels: Collection[str] | None = None) -> list[Example]:
    """The examples of a file of JSON lines; other members of a line are ignored, and so are empty lines.

    Shape:  where `labels` are given, no other one may stand in the file: they are the departments.

    Raises: Misconfigured, naming file and line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"cannot be read: {error.strerror}", file=path) from error
    examples = list(_examples(path, content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace"), labels))
    if not examples:
        raise Misconfigured("holds no example", file=path, mend=_SHAPE)
    return examples


def _examples(path: Path, content: str, labels: Collection[str] | None) -> Iterator[Example]:
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Misconfigured("is not JSON", file=path, line=number, mend=_SHAPE) from error
        example = _example(path, number, row)
        if labels is not None and example.label not in labels:
            raise Misconfigured(
                f"unknown department {example.label!r}",
                file=path,
                line=number,
                mend=closest_match(example.label, labels),
            )
        yield example


def _example(path: Path, number: int, row: Any) -> Example:
    if not isinstance(row, dict):
        raise Misconfigured("is no object", file=path, line=number, mend=_SHAPE)
    text, label, language = row.get("text"), row.get("label"), row.get("lang")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if isinstance(label, int) and not isinstance(label, bool):
        label = str(label)
    if not isinstance(label, str) or not label.strip():
        raise Misconfigured("has no label", file=path, line=number, mend=_SHAPE)
    if text is not None and not isinstance(text, str):
        raise Misconfigured("has a text that is no text", file=path, line=number, mend=_SHAPE)
    return Example(text or "", label.strip(), language if isinstance(language, str) else None)
