"""Fits a multinomial logistic regression with L-BFGS. Pure; numpy only."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from parvis.router.decide.classifier.linear_model import softmax
from parvis.router.decide.classifier.text_features import Floats, Ints

_Vector = NDArray[np.float64]
_MAX_ITERATIONS, _HISTORY, _GRADIENT_TOLERANCE = 80, 8, 1e-3
_MAX_HALVINGS = 20


def fit_logistic_regression(
    rows: Floats, classes: Ints, *, class_count: int, inverse_regularization: float
) -> tuple[Floats, Floats]:
    """Weights (d, L) and intercepts (L,) for rows (n, d) and their classes (n,).

    The objective of scikit-learn's LogisticRegression(C=inverse_regularization, class_weight="balanced").
    """
    texts, width = rows.shape
    sizes = np.bincount(classes, minlength=class_count)
    sample_weight = (texts / (class_count * np.maximum(sizes, 1)))[classes].astype(np.float32)
    target = np.eye(class_count, dtype=np.float32)[classes]

    def loss(flat: _Vector) -> tuple[float, _Vector]:
        parameters = flat.reshape(width + 1, class_count).astype(np.float32)
        probability = softmax(rows @ parameters[:width] + parameters[width])
        likelihood = np.maximum((probability * target).sum(axis=1), 1e-12)
        penalty = float((parameters[:width] ** 2).sum()) / (2 * inverse_regularization)
        value = -float((sample_weight * np.log(likelihood)).sum()) + penalty
        residual = sample_weight[:, None] * (probability - target)
        gradient = np.concatenate(
            [rows.T @ residual + parameters[:width] / inverse_regularization, residual.sum(axis=0, keepdims=True)]
        )
        return value, gradient.ravel().astype(np.float64)

    fitted = _minimize(loss, np.zeros((width + 1) * class_count)).reshape(width + 1, class_count).astype(np.float32)
    return fitted[:width], fitted[width]


def _minimize(loss: Callable[[_Vector], tuple[float, _Vector]], at: _Vector) -> _Vector:
    """L-BFGS with backtracking. Source: Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 7.5."""
    value, gradient = loss(at)
    initial = float(np.abs(gradient).max()) or 1.0
    history: list[tuple[_Vector, _Vector]] = []
    for _ in range(_MAX_ITERATIONS):
        direction = -_apply_inverse_hessian(gradient, history)
        step, slope = 1.0, float(gradient @ direction)
        for _ in range(_MAX_HALVINGS):
            new_value, new_gradient = loss(at + step * direction)
            if new_value <= value + 1e-4 * step * slope:
                break
            step /= 2
        else:
            return at
        moved, changed = step * direction, new_gradient - gradient
        at, value, gradient = at + moved, new_value, new_gradient
        if moved @ changed > 1e-10:
            history = [*history, (moved, changed)][-_HISTORY:]
        if np.abs(gradient).max() < _GRADIENT_TOLERANCE * initial:
            break
    return at


def _apply_inverse_hessian(gradient: _Vector, history: list[tuple[_Vector, _Vector]]) -> _Vector:
    if not history:
        return gradient / max(1e-9, float(np.linalg.norm(gradient)))
    direction, alphas = gradient.copy(), list[float]()
    for moved, changed in reversed(history):
        alphas.append(float(moved @ direction) / float(moved @ changed))
        direction -= alphas[-1] * changed
    moved, changed = history[-1]
    direction *= float(moved @ changed) / float(changed @ changed)
    for (moved, changed), alpha in zip(history, reversed(alphas), strict=True):
        direction += moved * (alpha - float(changed @ direction) / float(moved @ changed))
    return direction
