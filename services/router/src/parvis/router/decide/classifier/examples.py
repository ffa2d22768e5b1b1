"""A text that people sorted."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """`label` is a department, or whatever the texts are sorted by."""

    text: str
    label: str
    language: str | None = None


def without_repeats(examples: Iterable[Example]) -> list[Example]:
    """Each text once: what stands in training and in trial would be known, not guessed. The last label counts."""
    last = {" ".join(example.text.split()).casefold(): example for example in examples}
    return list(last.values())
