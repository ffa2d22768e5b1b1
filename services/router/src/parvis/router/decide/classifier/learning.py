"""Examples as rows and products in, four linear models that are one out. Pure.

A regression decides where there are many examples. Drawn towards the mean of each department's texts (a centre) it does better where
there are few: macro-F1 .61 to .64 on 209 texts of 15 kinds, where it loses .01 to .03 with fifty texts a kind. Centres seen through the
spread within departments (Fisher's discriminant) add .01 to .02 where that spread is known: with fifty texts a kind, not with ten. What
the words of all other departments say against one (complement naive Bayes) adds .01 to .03 from
fifteen texts a kind on, and takes as much with eight. All four are linear, so their
weighted sum is one model. How much each says follows from the number of examples: to choose it by trial on so few texts chose by luck.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from parvis.router.decide.classifier import kernel
from parvis.router.decide.classifier.features import KINDS, SLOTS, Counted, Floats, Ints
from parvis.router.decide.classifier.regression import fit

MEANING = 2.0  # the embedding weighs as much as pieces of words and words together
_LENGTH = 4.0  # of every text in the products: 1 + 1 + MEANING
_SOFTNESS = 10.0
_CENTRE_SHARPNESS, _SPREAD_SHARPNESS = 20.0, 1 / 3
_SHRINKAGE = 0.2
_SMOOTHING = 0.03
_FEW, _ENOUGH = 8, 40  # texts a label
_ALIKE = 0.6  # the cosine of n-grams from which on two texts are one with small changes


@dataclass(frozen=True, slots=True)
class Mix:
    """How much each of the four says."""

    regression: float
    centres: float
    spread: float
    words: float


def mix_for(examples: int, labels: int) -> Mix:
    """By how many examples a label has."""
    each = examples / labels
    centres = min(0.5, max(0.0, (_ENOUGH - each) / 50))
    spread = 0.25 * min(1.0, each / _ENOUGH)
    words = 1.5 * min(1.0, max(0.0, (each - _FEW) / 20))
    return Mix(1 - centres, centres, (1 - centres) * spread, words)


@dataclass(frozen=True)
class Material:
    """All texts, weighted, with their directions; and everything that follows from them once."""

    texts: list[Counted]
    directions: Floats
    classes: Ints
    count: int
    products: Floats
    rows: Floats
    groups: Ints  # texts that are nearly the same have one number: what is learned from one is known of the others


def material(texts: list[Counted], directions: Floats, classes: Ints, count: int) -> Material:
    likeness = kernel.likeness(texts)
    groups = nearly_same(likeness)
    products = likeness + np.float32(MEANING) * (directions @ directions.T)
    return Material(texts, directions, classes, count, products, kernel.coordinates(products), groups)


def nearly_same(likeness: Floats) -> Ints:
    """A number a text by the products of n-grams; each its own, where one group would be too large to be left out."""
    groups = kernel.groups(likeness / 2 > _ALIKE)
    return groups if np.bincount(groups).max() <= max(2, len(groups) // 5) else np.arange(len(groups))


@dataclass(frozen=True)
class Learned:
    """What was learned from some of the texts: weights in coordinates, shares of texts, weights of directions."""

    weights: Floats
    constant: Floats
    centres: Floats
    spread: Floats
    spread_constant: Floats
    words: Floats  # a row a slot

    def scores(self, of: Material, tried: Ints, mix: Mix) -> Floats:
        regression = of.rows[tried] @ self.weights + self.constant
        centres = of.products[tried] @ self.centres
        spread = of.directions[tried] @ self.spread + self.spread_constant
        words = _said([of.texts[number] for number in tried], self.words)
        return mix.regression * regression + mix.centres * centres + mix.spread * spread + mix.words * words


def learn(of: Material, known: Ints) -> Learned:
    """From the texts `known`, by their numbers; every class has one among them."""
    classes = of.classes[known]
    weights, constant = fit(of.rows[known], classes, count=of.count, softness=_SOFTNESS)
    spread, spread_constant = _spread(of.directions[known], classes, of.count)
    words = _against([of.texts[number] for number in known], classes, of.count)
    return Learned(weights, constant, _centres(of, known), spread, spread_constant, words)


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


def _against(texts: Sequence[Counted], classes: Ints, count: int) -> Floats:
    """What each slot says for a class: how rare it is in all others. Source: Rennie and others, ICML 2003, section 3."""
    sums = np.zeros((KINDS * SLOTS, count), dtype=np.float32)
    for text, one in zip(texts, classes, strict=True):
        sums[text.slots, one] += text.values
    total = sums.sum(axis=1, keepdims=True)
    seen = total[:, 0] > 0
    others = total[seen] - sums[seen] + _SMOOTHING
    rare = -np.log(others / others.sum(axis=0))
    weights = np.zeros_like(sums)
    weights[seen] = rare - rare.mean(axis=1, keepdims=True)
    return weights / max(1e-6, float(_said(texts, weights).std()))


def _said(texts: Sequence[Counted], weights: Floats) -> Floats:
    return np.stack([text.values @ weights[text.slots] for text in texts])


def joined(of: Material, learned: Learned, mix: Mix) -> tuple[Floats, Floats, Floats]:
    """One linear model: shares of texts (a row a text), weights of directions, constants; the weights of words stand beside them."""
    shares = np.linalg.solve(of.rows.T.astype(np.float64), learned.weights.astype(np.float64))
    shares = (mix.regression * shares + mix.centres * learned.centres).astype(np.float32)
    meaning = MEANING * (of.directions.T @ shares) + mix.spread * learned.spread
    constant = mix.regression * learned.constant + mix.spread * learned.spread_constant
    return shares, meaning.astype(np.float32), constant.astype(np.float32)
