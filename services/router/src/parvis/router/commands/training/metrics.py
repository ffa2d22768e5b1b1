"""Computes classification metrics, and the operating point of a classifier that may abstain. Pure."""

import math
from dataclasses import dataclass

import numpy as np

from parvis.router.decide.classifier.text_features import Floats, Ints


@dataclass(frozen=True)
class ClassificationMetrics:
    """Shares from 0 to 1. `precision_at_50`: the accuracy on the half of the texts with the highest confidence."""

    accuracy: float
    macro_f1: float
    precision_at_50: float
    precision_at_80: float

    def to_row(self) -> dict[str, float]:
        return {name: round(float(value), 4) for name, value in vars(self).items()}


def compute_metrics(probability: Floats, truth: Ints, *, class_count: int | None = None) -> ClassificationMetrics:
    """Compare probabilities (n, L) with the true classes (n,).

    Shape: `truth` is -1 for a class that is not in the training data: never predicted right. With `class_count`, a column after
           the classes means "abstains".
    """
    predicted = probability.argmax(axis=1)
    return ClassificationMetrics(
        accuracy=float((predicted == truth).mean()),
        macro_f1=compute_macro_f1(predicted, truth, class_count=class_count),
        precision_at_50=_precision_at(0.5, probability, truth),
        precision_at_80=_precision_at(0.8, probability, truth),
    )


def compute_macro_f1(predicted: Ints, truth: Ints, *, class_count: int | None = None) -> float:
    """The mean F1 of all classes that were predicted or are true; abstentions are not a class."""
    scores: list[float] = []
    for label in np.union1d(predicted[predicted != class_count], truth):
        true_positives = int(((predicted == label) & (truth == label)).sum())
        scores.append(2 * true_positives / (int((predicted == label).sum()) + int((truth == label).sum())))
    return float(np.mean(scores))


def _precision_at(coverage: float, probability: Floats, truth: Ints) -> float:
    most_confident = _by_confidence(probability)[: max(1, int(coverage * len(truth)))]
    return float((probability[most_confident].argmax(axis=1) == truth[most_confident]).mean())


def _by_confidence(probability: Floats) -> Ints:
    return np.argsort(-probability.max(axis=1), kind="stable")


@dataclass(frozen=True)
class OperatingPoint:
    """The confidence threshold of the model, the share of texts that reach it, and their precision."""

    threshold: float
    coverage: float
    precision: float


UNREACHABLE_THRESHOLD = 1.01
_MIN_COVERED = 10


def find_operating_point(target_precision: float, probability: Floats, truth: Ints) -> OperatingPoint:
    """The lowest threshold with the target precision; UNREACHABLE_THRESHOLD if fewer than ten texts would reach it."""
    order = _by_confidence(probability)
    precision = np.cumsum(probability[order].argmax(axis=1) == truth[order]) / np.arange(1, len(truth) + 1)
    reached = np.flatnonzero(precision >= target_precision)
    if not len(reached) or reached[-1] + 1 < min(_MIN_COVERED, len(truth)):
        return OperatingPoint(UNREACHABLE_THRESHOLD, 0.0, 0.0)
    last = int(reached[-1])
    threshold = float(probability[order[last]].max())
    if last == len(truth) - 1:  # no text had a lower confidence, so nothing is known below it
        threshold = min(threshold, target_precision)
    return OperatingPoint(math.floor(threshold * 10_000) / 10_000, (last + 1) / len(truth), float(precision[last]))
