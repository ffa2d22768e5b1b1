"""Examples as rows and products in, three linear models that are one out. Pure.

A regression decides where there are many examples. Drawn towards the mean of each department's texts (a centre) it does better where
there are few: macro-F1 .60 to .64 on 209 texts of 15 kinds. Centres seen through the spread within departments (Fisher's discriminant)
help with short texts: .75 to .77 on 753 titles. All three are linear, so their weighted sum is one model.
"""

from dataclasses import dataclass

import numpy as np

from parvis.router.decide.classifier import kernel
from parvis.router.decide.classifier.features import Counted, Floats, Ints
from parvis.router.decide.classifier.regression import fit

MEANING = 2.0  # the embedding weighs as much as pieces of words and words together
_LENGTH = 4.0  # of every text in the products: 1 + 1 + MEANING
_SOFTNESS = 10.0
_CENTRE_SHARPNESS, _SPREAD_SHARPNESS = 20.0, 1 / 3
_SHRINKAGE = 0.2


@dataclass(frozen=True, slots=True)
class Mix:
    """How much each of the three says."""

    regression: float
    centres: float
    spread: float


MIXES = (Mix(1, 0, 0), Mix(0.7, 0.3, 0), Mix(1, 0, 0.5), Mix(0.5, 0.25, 0.25))


@dataclass(frozen=True)
class Material:
    """All texts, weighted, with their directions; and everything that follows from them once."""

    texts: list[Counted]
    directions: Floats
    classes: Ints
    count: int
    products: Floats
    rows: Floats


def material(texts: list[Counted], directions: Floats, classes: Ints, count: int) -> Material:
    products = kernel.likeness(texts) + np.float32(MEANING) * (directions @ directions.T)
    return Material(texts, directions, classes, count, products, kernel.coordinates(products))


@dataclass(frozen=True)
class Learned:
    """What was learned from some of the texts: weights in coordinates, shares of texts, weights of directions."""

    weights: Floats
    constant: Floats
    centres: Floats
    spread: Floats
    spread_constant: Floats

    def scores(self, of: Material, tried: Ints, mix: Mix) -> Floats:
        regression = of.rows[tried] @ self.weights + self.constant
        centres = of.products[tried] @ self.centres
        spread = of.directions[tried] @ self.spread + self.spread_constant
        return mix.regression * regression + mix.centres * centres + mix.spread * spread


def learn(of: Material, known: Ints) -> Learned:
    """From the texts `known`, by their numbers; every class has one among them."""
    classes = of.classes[known]
    weights, constant = fit(of.rows[known], classes, count=of.count, softness=_SOFTNESS)
    spread, spread_constant = _spread(of.directions[known], classes, of.count)
    return Learned(weights, constant, _centres(of, known), spread, spread_constant)


def _centres(of: Material, known: Ints) -> Floats:
    """A column a class: its texts in equal shares, so that the product with a text is the cosine to their mean."""
    shares = np.zeros((len(of.classes), of.count), dtype=np.float32)
    shares[known, of.classes[known]] = 1
    shares /= np.maximum(shares.sum(axis=0), 1)
    lengths = np.sqrt(np.maximum((shares * (of.products @ shares)).sum(axis=0), 1e-6) * _LENGTH)
    return (shares / lengths * _CENTRE_SHARPNESS).astype(np.float32)


def _spread(directions: Floats, classes: Ints, count: int) -> tuple[Floats, Floats]:
    middles = np.stack([directions[classes == one].mean(axis=0) for one in range(count)]).astype(np.float64)
    away = directions - middles[classes]
    within = away.T @ away / len(away)
    round_ = np.trace(within) / len(within) * np.eye(len(within))
    weights = np.linalg.solve((1 - _SHRINKAGE) * within + _SHRINKAGE * round_, middles.T)
    constant = -0.5 * (middles * weights.T).sum(axis=1)
    return (weights * _SPREAD_SHARPNESS).astype(np.float32), (constant * _SPREAD_SHARPNESS).astype(np.float32)


def joined(of: Material, learned: Learned, mix: Mix) -> tuple[Floats, Floats, Floats]:
    """One linear model: shares of texts (a row a text), weights of directions, constants."""
    shares = np.linalg.solve(of.rows.T.astype(np.float64), learned.weights.astype(np.float64))
    shares = (mix.regression * shares + mix.centres * learned.centres).astype(np.float32)
    meaning = MEANING * (of.directions.T @ shares) + mix.spread * learned.spread
    constant = mix.regression * learned.constant + mix.spread * learned.spread_constant
    return shares, meaning.astype(np.float32), constant.astype(np.float32)
