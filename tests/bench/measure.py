"""Defines benchmarks and their measurements."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Measure:
    """One figure of one round."""

    contender: str
    metric: str
    unit: str
    value: float
    events: int = 0  # that it was taken over, where contenders were given different numbers of them


@dataclass(frozen=True)
class Bench:
    question: str
    run: Callable[[Path], Coroutine[Any, Any, Sequence[Measure]]]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the others lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Incomplete(Exception):
    """A benchmark's figures, with the reasons why they are not reliable."""

    def __init__(self, measures: Sequence[Measure], reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.measures, self.reasons = measures, reasons
