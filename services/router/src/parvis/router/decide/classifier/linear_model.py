"""Predicts label probabilities with one linear model on n-grams and an embedding, and kernels if it has some. Pure; numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from parvis.router.decide.classifier.kernel_expansion import KernelExpansion
from parvis.router.decide.classifier.text_features import (
    BUCKETS,
    FEATURE_KINDS,
    Floats,
    HashedNgrams,
    Ints,
    hash_ngrams,
)

DIMENSIONS = 384  # of multilingual-e5-small


@dataclass(frozen=True)
class LinearModel:
    """A multinomial linear model: `softmax(ngrams @ ngram_weights + centered embedding @ embedding_weights + intercept)`.

    Shape: B features of the training texts (`buckets`, ascending; `idf`), L labels, D = 384: `ngram_weights` (B, L),
           `embedding_weights` (D, L), `mean_embedding` (D,), `intercept` (L,). A feature outside `buckets` has no weight, and
           `unseen_idf` counts for the length of the row. The model decides if its confidence reaches `threshold`.
    """

    labels: tuple[str, ...]
    buckets: Ints
    idf: Floats
    unseen_idf: float
    ngram_weights: Floats
    mean_embedding: Floats
    embedding_weights: Floats
    intercept: Floats
    threshold: float
    embedder: str
    kernel: KernelExpansion | None = None  # its scores are added

    def predict_probabilities(self, texts: Sequence[str], embeddings: Floats) -> Floats:
        """Probabilities (n, L) for n texts and their embeddings (n, D); each row adds up to one."""
        centered = center_embeddings(embeddings, self.mean_embedding)
        scores = centered @ self.embedding_weights + self.intercept
        if self.kernel:
            scores += self.kernel.score(centered)
        idf = np.full(FEATURE_KINDS * BUCKETS, self.unseen_idf, dtype=np.float32)
        idf[self.buckets] = self.idf
        for row, text in enumerate(texts):
            scores[row] += self._score_ngrams(hash_ngrams(text).weigh(idf))
        return softmax(scores)

    def _score_ngrams(self, text: HashedNgrams) -> Floats:
        at = np.minimum(np.searchsorted(self.buckets, text.buckets), len(self.buckets) - 1)
        is_known = self.buckets[at] == text.buckets
        return text.values[is_known] @ self.ngram_weights[at[is_known]]


def center_embeddings(embeddings: Floats, mean: Floats) -> Floats:
    """Subtract the mean embedding and scale to length one: the embeddings of one town's texts lie in a narrow cone."""
    centered = embeddings - mean
    return (centered / np.maximum(np.linalg.norm(centered, axis=1, keepdims=True), 1e-6)).astype(np.float32)


def softmax(scores: Floats) -> Floats:
    """Row-wise softmax (n, L)."""
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
