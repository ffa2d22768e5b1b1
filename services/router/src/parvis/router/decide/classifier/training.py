"""Examples and their embeddings in, a model and what it is worth out. Pure; the same examples give the same model."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from parvis.router.decide.classifier.examples import Example
from parvis.router.decide.classifier.features import Counted, Floats, Ints, counted, rarity
from parvis.router.decide.classifier.judging import Cut, Figures, cut_for, judged
from parvis.router.decide.classifier.learning import Material, Mix, joined, learn, material, mix_for
from parvis.router.decide.classifier.model import Model, turned
from parvis.router.decide.classifier.regression import softmax

MOST = 5000  # texts: a gigabyte, a minute
FEWEST, FEWEST_EACH = 40, 5
_FOLDS, _ROUNDS = 5, 2
_TEMPERATURES = np.geomspace(0.5, 5, 41)  # no surer than twice what was learned: few examples may all be right by luck


class TooFew(Exception):
    """Too little was sorted to learn from."""


@dataclass(frozen=True)
class OfLabel:
    """How one label fared in cross-validation: of what was given to it, how much is right; of what is its, how much was found."""

    label: str
    examples: int
    precision: float
    recall: float


@dataclass(frozen=True)
class Report:
    """Cross-validated: every text was tried by a model that did not know it."""

    examples: int
    figures: Figures
    cut: Cut
    wanted: float
    labels: tuple[OfLabel, ...]


def check_enough(examples: Sequence[Example]) -> None:
    """Raises: TooFew, with a sentence for the operator."""
    sizes = Counter(example.label for example in examples)
    learnable = [label for label, size in sizes.items() if size >= FEWEST_EACH]
    if len(examples) < FEWEST or len(learnable) < 2:
        raise TooFew(
            f"{len(examples)} different texts, {len(learnable)} departments with {FEWEST_EACH} or more: "
            f"at least {FEWEST} texts and 2 such departments are needed"
        )


def train(
    examples: Sequence[Example], hints: Sequence[Example], embeddings: Floats, *, precision: float, embedder: str
) -> tuple[Model, Report]:
    """Learn from examples, and from hints: texts that describe a label, such as its name; they are learned, never tried.

    Needs: a row of `embeddings` for each example, then for each hint; at most MOST examples.
    """
    labels = tuple(sorted({example.label for example in (*examples, *hints)}))
    every = [*examples, *hints]
    texts = [counted(example.text) for example in every]
    rare = rarity(texts[: len(examples)])
    middle = embeddings[: len(examples)].mean(axis=0)
    classes = np.array([labels.index(example.label) for example in every])
    of = material([text.weighted(rare) for text in texts], turned(embeddings, middle), classes, len(labels))
    mix = mix_for(len(examples), len(labels))
    temperature, tried = _tried(of, len(examples), mix)
    truth = np.tile(classes[: len(examples)], _ROUNDS)
    cut = cut_for(precision, tried, truth)
    learned = learn(of, np.arange(len(every)))
    shares, meaning, constant = joined(of, learned, mix)
    slots, weights = _folded(of.texts, shares, np.float32(mix.words) * learned.words)
    unseen = float(np.log(1 + len(examples)) + 1)
    model = Model(
        labels=labels,
        slots=slots,
        rarity=rare[slots],
        unseen=unseen,
        weights=weights / np.float32(temperature),
        middle=middle.astype(np.float32),
        meaning=meaning / np.float32(temperature),
        constant=constant / np.float32(temperature),
        threshold=cut.threshold,
        embedder=embedder,
    )
    return model, Report(len(examples), judged(tried, truth), cut, precision, tuple(_by_label(labels, tried, truth)))


def _tried(of: Material, examples: int, mix: Mix) -> tuple[float, Floats]:
    """How likely each label was found for each text by models that did not know it; and the temperature that makes that honest."""
    scores = np.zeros((_ROUNDS, examples, of.count), dtype=np.float32)
    for round_ in range(_ROUNDS):
        for tried in _folds(of.classes[:examples], of.groups[:examples], round_):
            known = np.setdiff1d(np.arange(len(of.classes)), tried)
            scores[round_, tried] = learn(of, _with_all(of, known, tried)).scores(of, tried, mix)
    every, truth = scores.reshape(-1, of.count), np.tile(of.classes[:examples], _ROUNDS)
    temperature = min(_TEMPERATURES, key=lambda one: _surprise(every / np.float32(one), truth))
    return float(temperature), softmax(every / np.float32(temperature))


def _folds(classes: Ints, groups: Ints, round_: int) -> Iterator[Ints]:
    """Each text in one of five, every label spread over them, what is nearly the same text together."""
    leaders = np.random.default_rng(round_).permutation(np.unique(groups))
    in_order = leaders[np.argsort(classes[leaders], kind="stable")]
    for fold in range(_FOLDS):
        tried = np.flatnonzero(np.isin(groups, in_order[fold::_FOLDS]))
        if len(tried):
            yield tried


def _with_all(of: Material, known: Ints, tried: Ints) -> Ints:
    """A label of one text alone has nothing to learn from when it is tried; a text of it is borrowed, to its advantage."""
    missing = np.setdiff1d(of.classes[tried], of.classes[known])
    borrowed = [tried[of.classes[tried] == one][0] for one in missing]
    return np.concatenate([known, np.array(borrowed, dtype=known.dtype)])


def _surprise(scores: Floats, truth: Ints) -> float:
    likely = softmax(scores)[np.arange(len(truth)), truth]
    return -float(np.log(np.maximum(likely, 1e-9)).mean())


def _folded(texts: Sequence[Counted], shares: Floats, weights: Floats) -> tuple[Ints, Floats]:
    """The slots that any text fills, and their weights: those given, and the texts, each by its shares."""
    for text, share in zip(texts, shares, strict=True):
        weights[text.slots] += text.values[:, None] * share
    slots = np.unique(np.concatenate([text.slots for text in texts]))
    return slots, weights[slots]


def _by_label(labels: Sequence[str], tried: Floats, truth: Ints) -> Iterator[OfLabel]:
    said = tried.argmax(axis=1)
    for number, label in enumerate(labels):
        right = int(((said == number) & (truth == number)).sum())
        given, its = int((said == number).sum()), int((truth == number).sum())
        yield OfLabel(label, its // _ROUNDS, right / given if given else 0.0, right / its if its else 0.0)
