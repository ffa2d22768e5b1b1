"""What a model said and what people say in, figures out. Pure."""

import math
from dataclasses import dataclass

import numpy as np

from parvis.router.decide.classifier.features import Floats, Ints


@dataclass(frozen=True)
class Figures:
    """Shares from 0 to 1. `precision_at_50`: of the half that the model is surest of, how much is right."""

    accuracy: float
    macro_f1: float
    precision_at_50: float
    precision_at_80: float

    def row(self) -> dict[str, float]:
        return {name: round(float(value), 4) for name, value in vars(self).items()}


def judged(probability: Floats, truth: Ints, *, count: int | None = None) -> Figures:
    """`truth` holds -1 for a class that the model never saw: it is missed. A column after the `count` classes says: nobody knows."""
    said = probability.argmax(axis=1)
    return Figures(
        accuracy=float((said == truth).mean()),
        macro_f1=macro_f1(said, truth, count=count),
        precision_at_50=_precision_at(0.5, probability, truth),
        precision_at_80=_precision_at(0.8, probability, truth),
    )


def macro_f1(said: Ints, truth: Ints, *, count: int | None = None) -> float:
    """The mean over every class that was said or is true."""
    scores: list[float] = []
    for one in np.union1d(said[said != count], truth):
        both = int(((said == one) & (truth == one)).sum())
        scores.append(2 * both / (int((said == one).sum()) + int((truth == one).sum())))
    return float(np.mean(scores))


def _precision_at(coverage: float, probability: Floats, truth: Ints) -> float:
    surest = np.argsort(-probability.max(axis=1), kind="stable")[: max(1, int(coverage * len(truth)))]
    return float((probability[surest].argmax(axis=1) == truth[surest]).mean())


@dataclass(frozen=True)
class Cut:
    """From which confidence on the model decides, how much that is of all texts, and how much of it was right."""

    threshold: float
    coverage: float
    precision: float


NEVER = 1.01
_FEWEST_SURE = 10


def cut_for(wanted: float, probability: Floats, truth: Ints) -> Cut:
    """The lowest confidence from which on so large a share is right; none, when not even ten texts reach it."""
    surest = np.argsort(-probability.max(axis=1), kind="stable")
    right = np.cumsum(probability[surest].argmax(axis=1) == truth[surest]) / np.arange(1, len(truth) + 1)
    enough = np.flatnonzero(right >= wanted)
    if not len(enough) or enough[-1] + 1 < min(_FEWEST_SURE, len(truth)):
        return Cut(NEVER, 0.0, 0.0)
    last = int(enough[-1])
    threshold = float(probability[surest[last]].max())
    if last == len(truth) - 1:  # nothing was tried below it
        threshold = min(threshold, wanted)
    return Cut(math.floor(threshold * 10_000) / 10_000, (last + 1) / len(truth), float(right[last]))
