"""Trains the model that recognises possible dangers, and chooses its threshold by the share of false alarms. Pure; deterministic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from parvis.router.commands.training.cross_validation import ROUNDS
from parvis.router.commands.training.examples import Example
from parvis.router.commands.training.train_classifier import fit_linear_model
from parvis.router.decide.classifier.linear_model import LinearModel
from parvis.router.decide.classifier.text_features import Floats
from parvis.router.decide.possible_danger import DANGER, SURE


@dataclass(frozen=True)
class DangerReport:
    """Shares of texts that reach a threshold, each predicted by models that were not trained on it."""

    dangers: int
    harmless: int
    threshold: float
    recall: float
    false_alarms: float
    sure_recall: float
    sure_false_alarms: float


def train_danger_model(
    examples: Sequence[Example], embeddings: Floats, *, false_alarms: float, embedder: str
) -> tuple[LinearModel, DangerReport]:
    """Train on texts labelled DANGER or HARMLESS; at most this share of the harmless ones reaches the threshold."""
    fit = fit_linear_model(examples, [], embeddings, embedder=embedder)
    danger = fit.model.labels.index(DANGER)
    probability, is_danger = fit.probability[:, danger], fit.truth == danger
    threshold = _round_up(float(np.quantile(probability[~is_danger], 1 - false_alarms)))
    report = DangerReport(
        dangers=int(is_danger.sum()) // ROUNDS,
        harmless=int((~is_danger).sum()) // ROUNDS,
        threshold=threshold,
        recall=float((probability[is_danger] >= threshold).mean()),
        false_alarms=float((probability[~is_danger] >= threshold).mean()),
        sure_recall=float((probability[is_danger] >= SURE).mean()),
        sure_false_alarms=float((probability[~is_danger] >= SURE).mean()),
    )
    return replace(fit.model, threshold=threshold), report


def _round_up(threshold: float) -> float:
    return min(0.99, math.ceil(threshold * 100) / 100)
