"""What a benchmark is, and what it measures."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


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
    run: Callable[[Path], Awaitable[Sequence[Measure]]]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the others lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
