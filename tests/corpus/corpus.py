"""Defines a corpus: a folder of third-party samples, a question, and the scores that answer it."""

import operator
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parvis.local.stack import Stack

_COMPARED: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le, "=": operator.eq}


@dataclass(frozen=True)
class Score:
    """One figure. `target` is its goal, such as `>= 0.95`; empty if it has none."""

    metric: str
    unit: str
    value: float
    target: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the value meets the target. True without a target."""
        sign, _, bound = self.target.partition(" ")
        return not sign or _COMPARED[sign](self.value, float(bound))


@dataclass(frozen=True)
class Corpus:
    """`folder` is its folder in the sample data. `run(folder, stack)` gives the scores; the stack runs the four ingest services."""

    name: str
    folder: str
    question: str
    run: Callable[[Path, Stack], Coroutine[Any, Any, Sequence[Score]]]
