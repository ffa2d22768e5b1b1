"""Computes the Gram matrix of sparse texts, its Cholesky factor, and connected components. Pure."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from parvis.router.decide.classifier.text_features import Floats, HashedNgrams, Ints

_RARE = 32  # up to this many texts per feature, pairs are cheaper than a dense column
_MAX_PAIRS = 2_000_000
_DENSE_COLUMNS = 2048
_JITTER = 1e-4  # keeps the matrix positive definite when two texts are equal


def compute_gram_matrix(texts: Sequence[HashedNgrams]) -> Floats:
    """The inner products (n, n) of weighted texts, without ever building the (n, F) matrix."""
    count = len(texts)
    document = np.repeat(np.arange(count), [len(text.buckets) for text in texts])
    feature = np.concatenate([text.buckets for text in texts])
    value = np.concatenate([text.values for text in texts])
    order = np.argsort(feature, kind="stable")
    document, feature, value = document[order], feature[order], value[order]
    _, start, size = np.unique(feature, return_index=True, return_counts=True)
    gram = np.zeros((count, count), dtype=np.float32)
    for at in _rare_features(start, size):
        pairs = (document[at][:, :, None] * count + document[at][:, None, :]).ravel()
        weights = (value[at][:, :, None] * value[at][:, None, :]).ravel()
        gram += np.bincount(pairs, weights=weights, minlength=count * count).reshape(count, count)
    frequent = np.flatnonzero(size > _RARE)
    for chunk in range(0, len(frequent), _DENSE_COLUMNS):
        columns = np.zeros((count, _DENSE_COLUMNS), dtype=np.float32)
        for column, number in enumerate(frequent[chunk : chunk + _DENSE_COLUMNS]):
            entries = slice(start[number], start[number] + size[number])
            columns[document[entries], column] = value[entries]
        gram += columns @ columns.T
    return gram


def _rare_features(start: Ints, size: Ints) -> Iterator[Ints]:
    """Positions of the entries of rare features, one row per feature, in chunks that fit into memory."""
    for texts in range(1, _RARE + 1):
        starts = start[size == texts]
        step = max(1, _MAX_PAIRS // texts**2)
        for chunk in range(0, len(starts), step):
            yield starts[chunk : chunk + step, None] + np.arange(texts)


def factorize(gram: Floats) -> Floats:
    """The Cholesky factor (n, n): a linear model on its rows is a linear model on all features."""
    return np.linalg.cholesky(gram.astype(np.float64) + _JITTER * np.eye(len(gram))).astype(np.float32)


def connected_components(is_adjacent: NDArray[np.bool_]) -> Ints:
    """A component number for each node of the graph (n, n)."""
    first, second = np.nonzero(is_adjacent)
    numbers = np.arange(len(is_adjacent))
    while True:
        smallest = numbers.copy()
        np.minimum.at(smallest, first, numbers[second])
        if (smallest == numbers).all():
            return numbers
        numbers = smallest
