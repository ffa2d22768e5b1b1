"""Rows and their classes in, the weights of a multinomial logistic regression out: L-BFGS in numpy. Pure."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from parvis.router.decide.classifier.features import Floats, Ints

_Vector = NDArray[np.float64]
_STEPS, _MEMORY, _TOLERANCE = 80, 8, 1e-3
_HALVINGS = 20


def softmax(scores: Floats) -> Floats:
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)


def fit(rows: Floats, classes: Ints, *, count: int, softness: float) -> tuple[Floats, Floats]:
    """Weights and a constant a class. Small classes weigh as much as large ones; less `softness` is more regular.

    The same objective as scikit-learn's LogisticRegression(C=softness, class_weight="balanced"); the same figures to 0.005.
    """
    texts, width = rows.shape
    sizes = np.bincount(classes, minlength=count)
    weight = (texts / (count * np.maximum(sizes, 1)))[classes].astype(np.float32)
    target = np.eye(count, dtype=np.float32)[classes]

    def loss(flat: _Vector) -> tuple[float, _Vector]:
        whole = flat.reshape(width + 1, count).astype(np.float32)
        probability = softmax(rows @ whole[:width] + whole[width])
        likely = np.maximum((probability * target).sum(axis=1), 1e-12)
        value = -float((weight * np.log(likely)).sum()) + float((whole[:width] ** 2).sum()) / (2 * softness)
        away = weight[:, None] * (probability - target)
        slope = np.concatenate([rows.T @ away + whole[:width] / softness, away.sum(axis=0, keepdims=True)])
        return value, slope.ravel().astype(np.float64)

    found = _least(loss, np.zeros((width + 1) * count)).reshape(width + 1, count).astype(np.float32)
    return found[:width], found[width]


def _least(loss: Callable[[_Vector], tuple[float, _Vector]], at: _Vector) -> _Vector:
    """Where `loss` is least. Source: Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 7.5."""
    value, slope = loss(at)
    first = float(np.abs(slope).max()) or 1.0
    past: list[tuple[_Vector, _Vector]] = []
    for _ in range(_STEPS):
        way = -_turned(slope, past)
        step, down = 1.0, float(slope @ way)
        for _ in range(_HALVINGS):
            new_value, new_slope = loss(at + step * way)
            if new_value <= value + 1e-4 * step * down:
                break
            step /= 2
        else:
            return at
        moved, turned = step * way, new_slope - slope
        at, value, slope = at + moved, new_value, new_slope
        if moved @ turned > 1e-10:
            past = [*past, (moved, turned)][-_MEMORY:]
        if np.abs(slope).max() < _TOLERANCE * first:
            break
    return at


def _turned(slope: _Vector, past: list[tuple[_Vector, _Vector]]) -> _Vector:
    if not past:
        return slope / max(1e-9, float(np.linalg.norm(slope)))
    way, shares = slope.copy(), list[float]()
    for moved, turned in reversed(past):
        shares.append(float(moved @ way) / float(moved @ turned))
        way -= shares[-1] * turned
    moved, turned = past[-1]
    way *= float(moved @ turned) / float(turned @ turned)
    for (moved, turned), share in zip(past, reversed(shares), strict=True):
        way += moved * (share - float(turned @ way) / float(moved @ turned))
    return way
