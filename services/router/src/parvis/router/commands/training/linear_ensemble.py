"""Fits four linear models on the same texts and merges them into one. Pure.

Logistic regression is best with many examples. Nearest centroids help with few: macro-F1 .61 to .64 on 209 texts of 15 labels, but .01 to
.03 lost with fifty texts a label. Fisher's discriminant adds .01 to .02 with fifty texts a label, nothing with ten. Complement naive Bayes
adds .01 to .03 from fifteen texts a label on, and loses as much with eight. All four are linear, so their weighted sum is one linear
model. The weights follow from the number of examples: on so few texts, weights chosen by cross-validation were chosen by luck.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from parvis.router.commands.training.gram_matrix import compute_gram_matrix, connected_components, factorize
from parvis.router.commands.training.logistic_regression import fit_logistic_regression
from parvis.router.decide.classifier.text_features import BUCKETS, FEATURE_KINDS, Floats, HashedNgrams, Ints

EMBEDDING_WEIGHT = 2.0  # in the Gram matrix: as much as both kinds of n-grams together
_SQUARED_NORM = 4.0  # of every text in the Gram matrix: 1 + 1 + EMBEDDING_WEIGHT
_INVERSE_REGULARIZATION = 10.0
_CENTROID_SCALE, _DISCRIMINANT_SCALE = 20.0, 1 / 3
_SHRINKAGE = 0.2
_SMOOTHING = 0.03
_FEW, _ENOUGH = 8, 40  # texts per label
_DUPLICATE_COSINE = 0.6  # similarity of n-grams from which two texts count as near duplicates


@dataclass(frozen=True, slots=True)
class EnsembleWeights:
    """The weight of each model in the sum."""

    regression: float
    centroids: float
    discriminant: float
    naive_bayes: float


def choose_weights(examples: int, labels: int) -> EnsembleWeights:
    """Weights by the mean number of examples per label."""
    per_label = examples / labels
    centroids = min(0.5, max(0.0, (_ENOUGH - per_label) / 50))
    discriminant = 0.25 * min(1.0, per_label / _ENOUGH)
    naive_bayes = 1.5 * min(1.0, max(0.0, (per_label - _FEW) / 20))
    return EnsembleWeights(1 - centroids, centroids, (1 - centroids) * discriminant, naive_bayes)


@dataclass(frozen=True)
class TrainingSet:
    """Weighted texts, centered embeddings (n, D) and classes (n,), with the Gram matrix and its Cholesky factor (n, n)."""

    texts: list[HashedNgrams]
    embeddings: Floats
    classes: Ints
    class_count: int
    gram: Floats
    factor: Floats
    groups: Ints  # near duplicates share a number: they must not be in training and test at once


def build_training_set(texts: list[HashedNgrams], embeddings: Floats, classes: Ints, class_count: int) -> TrainingSet:
    ngram_gram = compute_gram_matrix(texts)
    groups = find_near_duplicates(ngram_gram)
    gram = ngram_gram + np.float32(EMBEDDING_WEIGHT) * (embeddings @ embeddings.T)
    return TrainingSet(texts, embeddings, classes, class_count, gram, factorize(gram), groups)


def find_near_duplicates(ngram_gram: Floats) -> Ints:
    """A group number per text; every text is its own group if one group would be too large to hold out."""
    groups = connected_components(ngram_gram / 2 > _DUPLICATE_COSINE)
    return groups if np.bincount(groups).max() <= max(2, len(groups) // 5) else np.arange(len(groups))


@dataclass(frozen=True)
class FittedEnsemble:
    """Four models fitted on a part of a TrainingSet of n texts.

    Shape: `regression` (n, L) on rows of the factor; `centroids` (n, L) shares of texts; `discriminant` (D, L) on embeddings;
           `naive_bayes` (F, L) on n-grams; intercepts (L,).
    """

    regression: Floats
    regression_intercept: Floats
    centroids: Floats
    discriminant: Floats
    discriminant_intercept: Floats
    naive_bayes: Floats

    def predict_scores(self, training_set: TrainingSet, rows: Ints, weights: EnsembleWeights) -> Floats:
        """The weighted sum of the four models' scores for some texts of the set."""
        regression = training_set.factor[rows] @ self.regression + self.regression_intercept
        centroids = training_set.gram[rows] @ self.centroids
        discriminant = training_set.embeddings[rows] @ self.discriminant + self.discriminant_intercept
        naive_bayes = _score_ngrams([training_set.texts[row] for row in rows], self.naive_bayes)
        return (
            weights.regression * regression
            + weights.centroids * centroids
            + weights.discriminant * discriminant
            + weights.naive_bayes * naive_bayes
        )


def fit_ensemble(training_set: TrainingSet, rows: Ints) -> FittedEnsemble:
    """Fit on these texts of the set; every class must be among them."""
    classes, count = training_set.classes[rows], training_set.class_count
    regression, intercept = fit_logistic_regression(
        training_set.factor[rows], classes, class_count=count, inverse_regularization=_INVERSE_REGULARIZATION
    )
    discriminant, discriminant_intercept = _fit_discriminant(training_set.embeddings[rows], classes, count)
    naive_bayes = _fit_complement_naive_bayes([training_set.texts[row] for row in rows], classes, count)
    centroids = _fit_centroids(training_set, rows)
    return FittedEnsemble(regression, intercept, centroids, discriminant, discriminant_intercept, naive_bayes)


def _fit_centroids(training_set: TrainingSet, rows: Ints) -> Floats:
    """Equal shares of the texts of a class, scaled so that the product with a text is the cosine to their mean."""
    shares = np.zeros((len(training_set.classes), training_set.class_count), dtype=np.float32)
    shares[rows, training_set.classes[rows]] = 1
    shares /= np.maximum(shares.sum(axis=0), 1)
    lengths = np.sqrt(np.maximum((shares * (training_set.gram @ shares)).sum(axis=0), 1e-6) * _SQUARED_NORM)
    return (shares / lengths * _CENTROID_SCALE).astype(np.float32)


def _fit_discriminant(embeddings: Floats, classes: Ints, class_count: int) -> tuple[Floats, Floats]:
    """Fisher's linear discriminant with a covariance shrunk towards a multiple of the identity."""
    means = np.stack([embeddings[classes == label].mean(axis=0) for label in range(class_count)]).astype(np.float64)
    residuals = embeddings - means[classes]
    covariance = residuals.T @ residuals / len(residuals)
    spherical = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    weights = np.linalg.solve((1 - _SHRINKAGE) * covariance + _SHRINKAGE * spherical, means.T)
    intercept = -0.5 * (means * weights.T).sum(axis=1)
    return (weights * _DISCRIMINANT_SCALE).astype(np.float32), (intercept * _DISCRIMINANT_SCALE).astype(np.float32)


def _fit_complement_naive_bayes(texts: Sequence[HashedNgrams], classes: Ints, class_count: int) -> Floats:
    """How rare each feature is in all other classes. Source: Rennie and others, ICML 2003, section 3."""
    sums = np.zeros((FEATURE_KINDS * BUCKETS, class_count), dtype=np.float32)
    for text, label in zip(texts, classes, strict=True):
        sums[text.buckets, label] += text.values
    total = sums.sum(axis=1, keepdims=True)
    seen = total[:, 0] > 0
    complement = total[seen] - sums[seen] + _SMOOTHING
    log_rarity = -np.log(complement / complement.sum(axis=0))
    weights = np.zeros_like(sums)
    weights[seen] = log_rarity - log_rarity.mean(axis=1, keepdims=True)
    return weights / max(1e-6, float(_score_ngrams(texts, weights).std()))


def _score_ngrams(texts: Sequence[HashedNgrams], weights: Floats) -> Floats:
    return np.stack([text.values @ weights[text.buckets] for text in texts])


def merge_to_linear_map(
    training_set: TrainingSet, fitted: FittedEnsemble, weights: EnsembleWeights
) -> tuple[Ints, Floats, Floats, Floats]:
    """One linear model: the buckets that any text fills, n-gram weights (B, L), embedding weights (D, L) and intercepts (L,)."""
    dual = np.linalg.solve(training_set.factor.T.astype(np.float64), fitted.regression.astype(np.float64))
    shares = (weights.regression * dual + weights.centroids * fitted.centroids).astype(np.float32)
    embedding_weights = (
        EMBEDDING_WEIGHT * (training_set.embeddings.T @ shares) + weights.discriminant * fitted.discriminant
    )
    intercept = weights.regression * fitted.regression_intercept + weights.discriminant * fitted.discriminant_intercept
    ngram_weights = np.float32(weights.naive_bayes) * fitted.naive_bayes
    for text, share in zip(training_set.texts, shares, strict=True):
        ngram_weights[text.buckets] += text.values[:, None] * share
    buckets = np.unique(np.concatenate([text.buckets for text in training_set.texts]))
    return buckets, ngram_weights[buckets], embedding_weights.astype(np.float32), intercept.astype(np.float32)
