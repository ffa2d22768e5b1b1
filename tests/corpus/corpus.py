"""What a corpus is: a folder of other people's samples, a question, and the figures that answer it."""

import operator
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parvis.local.stack import Stack

_COMPARED: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le, "=": operator.eq}


@dataclass(frozen=True)
class Score:
    """One figure. `target` is what the project promises of it, in words such as `>= 0.95`; empty where it promises nothing."""

    metric: str
    unit: str
    value: float
    target: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the value keeps the promise; a figure without one does."""
        sign, _, bound = self.target.partition(" ")
        return not sign or _COMPARED[sign](self.value, float(bound))


@dataclass(frozen=True)
class Corpus:
    """`folder` is the name of its folder in the data. `run(folder, stack)` gives the figures; the stack has the four doors."""

    name: str
    folder: str
    question: str
    run: Callable[[Path, Stack], Coroutine[Any, Any, Sequence[Score]]]
