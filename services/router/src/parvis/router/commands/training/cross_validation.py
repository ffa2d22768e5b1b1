"""Cross-validates the ensemble and calibrates its confidence. Pure."""

from collections.abc import Iterator

import numpy as np

from parvis.router.commands.training.linear_ensemble import EnsembleWeights, TrainingSet, fit_ensemble
from parvis.router.decide.classifier.linear_model import softmax
from parvis.router.decide.classifier.text_features import Floats, Ints

FOLDS, ROUNDS = 5, 2
# Lower bound for the temperature: with few examples all may be right by luck; confidence may at most double.
_TEMPERATURES = np.geomspace(0.5, 5, 41)


def cross_validate(training_set: TrainingSet, examples: int, weights: EnsembleWeights) -> tuple[float, Floats]:
    """Predict the first `examples` texts of the set, each by models that were not trained on it nor on its near duplicates.

    Gives: the temperature that calibrates best, and calibrated probabilities (ROUNDS * examples, L).
    """
    scores = np.zeros((ROUNDS, examples, training_set.class_count), dtype=np.float32)
    for round_number in range(ROUNDS):
        for held_out in stratified_folds(
            training_set.classes[:examples], training_set.groups[:examples], seed=round_number
        ):
            rest = np.setdiff1d(np.arange(len(training_set.classes)), held_out)
            fitted = fit_ensemble(training_set, _with_every_class(training_set, rest, held_out))
            scores[round_number, held_out] = fitted.predict_scores(training_set, held_out, weights)
    flat, truth = scores.reshape(-1, training_set.class_count), np.tile(training_set.classes[:examples], ROUNDS)
    temperature = min(_TEMPERATURES, key=lambda candidate: _log_loss(flat / np.float32(candidate), truth))
    return float(temperature), softmax(flat / np.float32(temperature))


def stratified_folds(classes: Ints, groups: Ints, *, seed: int) -> Iterator[Ints]:
    """Stratified folds that keep near duplicates together."""
    leaders = np.random.default_rng(seed).permutation(np.unique(groups))
    by_class = leaders[np.argsort(classes[leaders], kind="stable")]
    for fold in range(FOLDS):
        held_out = np.flatnonzero(np.isin(groups, by_class[fold::FOLDS]))
        if len(held_out):
            yield held_out


def _with_every_class(training_set: TrainingSet, rest: Ints, held_out: Ints) -> Ints:
    """A class with a single text cannot be held out: its text stays in training, which favours the class."""
    missing = np.setdiff1d(training_set.classes[held_out], training_set.classes[rest])
    borrowed = [held_out[training_set.classes[held_out] == label][0] for label in missing]
    return np.concatenate([rest, np.array(borrowed, dtype=rest.dtype)])


def _log_loss(scores: Floats, truth: Ints) -> float:
    likelihood = softmax(scores)[np.arange(len(truth)), truth]
    return -float(np.log(np.maximum(likelihood, 1e-9)).mean())
