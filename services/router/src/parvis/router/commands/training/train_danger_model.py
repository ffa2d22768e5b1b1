"""Trains the model that recognises possible dangers, and chooses its threshold by the share of false alarms. Pure; deterministic.

Kernel ridge regression: at 5.9 % false alarms it finds 86.5 % of the dangers, the merged linear models of the classifier 84.6 % (2986 sentences,
cross-validated), because a danger is near some other danger, and not on one side of a plane.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parvis.router.commands.training.cross_validation import ROUNDS, stratified_folds
from parvis.router.commands.training.examples import Example
from parvis.router.commands.training.gram_matrix import compute_gram_matrix
from parvis.router.commands.training.linear_ensemble import find_near_duplicates
from parvis.router.commands.training.logistic_regression import fit_logistic_regression
from parvis.router.decide.classifier.kernel_expansion import KernelExpansion, gaussian_kernel
from parvis.router.decide.classifier.linear_model import LinearModel, center_embeddings, softmax
from parvis.router.decide.classifier.text_features import Floats, HashedNgrams, Ints, compute_idf, hash_ngrams
from parvis.router.decide.possible_danger import DANGER, HARMLESS, SURE

# Chosen by cross-validation; twice or half of each changes recall by less than 0.01.
_GAMMA, _NGRAM_WEIGHT, _RIDGE = 1.0, 0.2, 0.3
_INVERSE_REGULARIZATION = 1000.0  # of the two figures that turn scores into confidence


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
    hashed = [hash_ngrams(example.text) for example in examples]
    idf, mean = compute_idf(hashed), embeddings.mean(axis=0)
    texts, points = [text.weigh(idf) for text in hashed], center_embeddings(embeddings, mean)
    classes = np.array([(DANGER, HARMLESS).index(example.label) for example in examples])
    ngram_gram = compute_gram_matrix(texts)
    gram = gaussian_kernel(points, points, _GAMMA) + np.float32(_NGRAM_WEIGHT) * ngram_gram
    scores = _cross_validate(gram, classes, find_near_duplicates(ngram_gram))
    scale, offset = fit_logistic_regression(
        scores[:, None], np.tile(classes, ROUNDS), class_count=2, inverse_regularization=_INVERSE_REGULARIZATION
    )
    probability = softmax(scores[:, None] @ scale + offset)[:, 0]
    report = _report(probability, np.tile(classes == 0, ROUNDS), false_alarms)
    shares, intercept = _fit(gram, classes)
    buckets, ngram_weights = _merge_ngrams(texts, _NGRAM_WEIGHT * shares, idf.size)
    model = LinearModel(
        labels=(DANGER, HARMLESS),
        buckets=buckets,
        idf=idf[buckets],
        unseen_idf=float(np.log(1 + len(examples)) + 1),
        ngram_weights=ngram_weights[:, None] * scale,
        mean_embedding=mean.astype(np.float32),
        embedding_weights=np.zeros((points.shape[1], 2), dtype=np.float32),
        intercept=(intercept * scale[0] + offset).astype(np.float32),
        threshold=report.threshold,
        embedder=embedder,
        kernel=KernelExpansion(points, (shares[:, None] * scale).astype(np.float32), _GAMMA),
    )
    return model, report


def _fit(gram: Floats, classes: Ints) -> tuple[Floats, float]:
    """Shares of texts (n,) and an intercept, so that a danger scores about 1 and a harmless text about -1."""
    target = np.where(classes == 0, 1.0, -1.0)
    middle = float(target.mean())
    return np.linalg.solve(gram + _RIDGE * np.eye(len(gram)), target - middle), middle


def _cross_validate(gram: Floats, classes: Ints, groups: Ints) -> Floats:
    """Scores (ROUNDS * n,), each by a model that was not trained on the text nor on its near duplicates."""
    scores = np.zeros((ROUNDS, len(classes)))
    for round_number in range(ROUNDS):
        for held_out in stratified_folds(classes, groups, seed=round_number):
            rest = np.setdiff1d(np.arange(len(classes)), held_out)
            shares, intercept = _fit(gram[np.ix_(rest, rest)], classes[rest])
            scores[round_number, held_out] = gram[np.ix_(held_out, rest)] @ shares + intercept
    return scores.ravel()


def _merge_ngrams(texts: Sequence[HashedNgrams], shares: Floats, features: int) -> tuple[Ints, Floats]:
    """The buckets that any text fills, and the weight of each."""
    weights = np.zeros(features)
    for text, share in zip(texts, shares, strict=True):
        weights[text.buckets] += text.values * share
    buckets = np.unique(np.concatenate([text.buckets for text in texts]))
    return buckets, weights[buckets]


def _report(probability: Floats, is_danger: NDArray[np.bool_], false_alarms: float) -> DangerReport:
    threshold = _round_up(float(np.quantile(probability[~is_danger], 1 - false_alarms)))
    return DangerReport(
        dangers=int(is_danger.sum()) // ROUNDS,
        harmless=int((~is_danger).sum()) // ROUNDS,
        threshold=threshold,
        recall=float((probability[is_danger] >= threshold).mean()),
        false_alarms=float((probability[~is_danger] >= threshold).mean()),
        sure_recall=float((probability[is_danger] >= SURE).mean()),
        sure_false_alarms=float((probability[~is_danger] >= SURE).mean()),
    )


def _round_up(threshold: float) -> float:
    return min(0.99, math.ceil(threshold * 100) / 100)
