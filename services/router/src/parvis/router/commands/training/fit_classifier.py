"""Trains a linear model on labelled, embedded texts and reports its cross-validated metrics. Pure; deterministic."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from parvis.router.commands.training.cross_validation import ROUNDS, cross_validate
from parvis.router.commands.training.examples import Example
from parvis.router.commands.training.linear_ensemble import (
    build_training_set,
    choose_weights,
    fit_ensemble,
    merge_to_linear_map,
)
from parvis.router.commands.training.metrics import (
    UNREACHABLE_THRESHOLD,
    ClassificationMetrics,
    OperatingPoint,
    compute_metrics,
    find_operating_point,
)
from parvis.router.decide.classifier.linear_model import LinearModel, center_embeddings
from parvis.router.decide.classifier.text_features import Floats, Ints, compute_idf, hash_ngrams

MAX_EXAMPLES = 5000  # takes a gigabyte and a minute
MIN_EXAMPLES, MIN_EXAMPLES_PER_LABEL = 40, 5


class TooFewExamples(Exception):
    """There are not enough labelled texts to train on."""


@dataclass(frozen=True)
class LabelMetrics:
    """Cross-validated precision and recall of one label."""

    label: str
    examples: int
    precision: float
    recall: float


@dataclass(frozen=True)
class TrainingReport:
    """A model's cross-validated metrics: each text was predicted by models that were not trained on it."""

    examples: int
    metrics: ClassificationMetrics
    operating_point: OperatingPoint
    target_precision: float
    labels: tuple[LabelMetrics, ...]


def check_enough(examples: Sequence[Example]) -> None:
    """Raises: TooFewExamples, with a sentence for the operator."""
    sizes = Counter(example.label for example in examples)
    trainable = [label for label, size in sizes.items() if size >= MIN_EXAMPLES_PER_LABEL]
    if len(examples) < MIN_EXAMPLES or len(trainable) < 2:
        raise TooFewExamples(
            f"{len(examples)} different texts, {len(trainable)} departments with {MIN_EXAMPLES_PER_LABEL} or more: "
            f"at least {MIN_EXAMPLES} texts and 2 such departments are needed"
        )


def train_classifier(
    examples: Sequence[Example],
    label_descriptions: Sequence[Example],
    embeddings: Floats,
    *,
    precision: float,
    embedder: str,
) -> tuple[LinearModel, TrainingReport]:
    """Train on the examples and on texts that describe a label, such as its name; descriptions are never tested on.

    Needs: embeddings (n, D) of the examples, then of the descriptions; at most MAX_EXAMPLES.
    """
    fit = fit_linear_model(examples, label_descriptions, embeddings, embedder=embedder)
    operating_point = find_operating_point(precision, fit.probability, fit.truth)
    per_label = tuple(_label_metrics(fit.model.labels, fit.probability, fit.truth))
    metrics = compute_metrics(fit.probability, fit.truth)
    model = replace(fit.model, threshold=operating_point.threshold)
    return model, TrainingReport(len(examples), metrics, operating_point, precision, per_label)


@dataclass(frozen=True)
class CrossValidatedModel:
    """A model without a threshold; and for each round and text, predicted by models that were not trained on it: probabilities and truth."""

    model: LinearModel
    probability: Floats
    truth: Ints


def fit_linear_model(
    examples: Sequence[Example], label_descriptions: Sequence[Example], embeddings: Floats, *, embedder: str
) -> CrossValidatedModel:
    """Cross-validate, calibrate and fit; the arguments are those of `train_classifier`."""
    every, count = [*examples, *label_descriptions], len(examples)
    labels = tuple(sorted({example.label for example in every}))
    texts = [hash_ngrams(example.text) for example in every]
    idf, mean = compute_idf(texts[:count]), embeddings[:count].mean(axis=0)
    classes = np.array([labels.index(example.label) for example in every])
    weighted = [text.weigh(idf) for text in texts]
    training_set = build_training_set(weighted, center_embeddings(embeddings, mean), classes, len(labels))
    weights = choose_weights(count, len(labels))
    temperature, probability = cross_validate(training_set, count, weights)
    fitted = fit_ensemble(training_set, np.arange(len(every)))
    buckets, ngram_weights, embedding_weights, intercept = merge_to_linear_map(training_set, fitted, weights)
    model = LinearModel(
        labels=labels,
        buckets=buckets,
        idf=idf[buckets],
        unseen_idf=float(np.log(1 + count) + 1),
        ngram_weights=ngram_weights / np.float32(temperature),
        mean_embedding=mean.astype(np.float32),
        embedding_weights=embedding_weights / np.float32(temperature),
        intercept=intercept / np.float32(temperature),
        threshold=UNREACHABLE_THRESHOLD,
        embedder=embedder,
    )
    return CrossValidatedModel(model, probability, np.tile(classes[:count], ROUNDS))


def _label_metrics(labels: Sequence[str], probability: Floats, truth: Ints) -> Iterator[LabelMetrics]:
    predicted = probability.argmax(axis=1)
    for number, label in enumerate(labels):
        true_positives = int(((predicted == number) & (truth == number)).sum())
        positives, relevant = int((predicted == number).sum()), int((truth == number).sum())
        precision = true_positives / positives if positives else 0.0
        yield LabelMetrics(label, relevant // ROUNDS, precision, true_positives / relevant if relevant else 0.0)
