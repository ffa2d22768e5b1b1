"""What a benchmark is, and what it measures."""

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


@dataclass(frozen=True)
class Bench:
    question: str
    run: Callable[[Path], Coroutine[Any, Any, Sequence[Measure]]]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the others lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
