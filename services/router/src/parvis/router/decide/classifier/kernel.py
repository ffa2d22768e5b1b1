"""Texts in, how alike each two are out; and coordinates in which that is a plain product. Pure."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from parvis.router.decide.classifier.features import Counted, Floats, Ints

_RARE = 32  # a slot of so few texts is cheaper pair by pair
_PAIRS = 2_000_000
_COLUMNS = 2048
_JITTER = 1e-4  # keeps the root of a matrix with equal texts in it real


def likeness(texts: Sequence[Counted]) -> Floats:
    """The products of every two weighted texts, without ever holding the matrix of all slots."""
    count = len(texts)
    document = np.repeat(np.arange(count), [len(text.slots) for text in texts])
    slot = np.concatenate([text.slots for text in texts])
    value = np.concatenate([text.values for text in texts])
    order = np.argsort(slot, kind="stable")
    document, slot, value = document[order], slot[order], value[order]
    _, start, size = np.unique(slot, return_index=True, return_counts=True)
    products = np.zeros((count, count), dtype=np.float32)
    for at in _rare(start, size):
        pairs = (document[at][:, :, None] * count + document[at][:, None, :]).ravel()
        weights = (value[at][:, :, None] * value[at][:, None, :]).ravel()
        products += np.bincount(pairs, weights=weights, minlength=count * count).reshape(count, count)
    often = np.flatnonzero(size > _RARE)
    for chunk in range(0, len(often), _COLUMNS):
        columns = np.zeros((count, _COLUMNS), dtype=np.float32)
        for column, one in enumerate(often[chunk : chunk + _COLUMNS]):
            here = slice(start[one], start[one] + size[one])
            columns[document[here], column] = value[here]
        products += columns @ columns.T
    return products


def _rare(start: Ints, size: Ints) -> Iterator[Ints]:
    """For slots of few texts: the places of their entries, a row a slot, as many rows as fit into memory."""
    for texts in range(1, _RARE + 1):
        starts = start[size == texts]
        step = max(1, _PAIRS // texts**2)
        for chunk in range(0, len(starts), step):
            yield starts[chunk : chunk + step, None] + np.arange(texts)


def coordinates(products: Floats) -> Floats:
    """A row a text, so that the products of rows are those of `products`: a linear model on them is one on all slots."""
    return np.linalg.cholesky(products.astype(np.float64) + _JITTER * np.eye(len(products))).astype(np.float32)


def groups(alike: NDArray[np.bool_]) -> Ints:
    """A number a text, the same for all that are alike, and for those that are alike to them."""
    first, second = np.nonzero(alike)
    numbers = np.arange(len(alike))
    while True:
        least = numbers.copy()
        np.minimum.at(least, first, numbers[second])
        if (least == numbers).all():
            return numbers
        numbers = least
