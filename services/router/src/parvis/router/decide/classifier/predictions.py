"""Defines what a classifier predicts of a text. Data only: the worker process imports nothing else of the decision."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prediction:
    """A department and the model's confidence in it, from 0 to 1."""

    department: str
    confidence: float


@dataclass(frozen=True, slots=True)
class ClassifierOutput:
    """A model's predictions for one text, best first. The first one decides if its confidence reaches `threshold`."""

    model: str
    threshold: float
    predictions: Sequence[Prediction]
