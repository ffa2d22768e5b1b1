"""Facts about kernels beside a linear model: what they see, and how a model with them is stored."""

from dataclasses import replace

import numpy as np
import pytest

from parvis.router.commands.train_danger import add_capitals
from parvis.router.commands.training.examples import Example
from parvis.router.commands.training.train_danger_model import train_danger_model
from parvis.router.decide.classifier.kernel_expansion import KernelExpansion
from parvis.router.decide.classifier.linear_model import DIMENSIONS, LinearModel
from parvis.router.decide.classifier.model_archive import InvalidModel, deserialize_model, serialize_model
from parvis.router.decide.classifier.text_features import Floats
from parvis.router.decide.possible_danger import DANGER, HARMLESS

TEXTS = 80


def ring() -> tuple[list[Example], Floats]:
    """Dangers in two opposite directions, harmless texts in two others: no plane divides them."""
    random = np.random.default_rng(7)
    directions = np.eye(DIMENSIONS)[[0, 0, 1, 1]] * np.array([1, -1, 1, -1])[:, None]
    rows = np.tile(directions, (TEXTS // 4, 1)) + random.normal(scale=0.02, size=(TEXTS, DIMENSIONS))
    labels = [DANGER, DANGER, HARMLESS, HARMLESS] * (TEXTS // 4)
    words = random.permutation(10 * TEXTS).reshape(TEXTS, 10)
    examples = [Example(" ".join(f"w{word}" for word in row), label) for row, label in zip(words, labels, strict=True)]
    return examples, rows.astype(np.float32)


@pytest.fixture(scope="module")
def model() -> LinearModel:
    examples, rows = ring()
    return train_danger_model(examples, rows, false_alarms=0.05, embedder="e")[0]


def test_kernels_see_what_no_plane_divides(model: LinearModel):
    examples, rows = ring()
    probability = model.predict_probabilities(["unseen"] * TEXTS, rows)[:, model.labels.index(DANGER)]
    assert ((probability > 0.5) == [example.label == DANGER for example in examples]).mean() > 0.95


def test_a_model_with_kernels_is_read_back(model: LinearModel):
    back = deserialize_model(serialize_model(model))
    _, rows = ring()
    given = model.predict_probabilities(["unseen"] * TEXTS, rows)
    assert back.kernel is not None
    assert np.allclose(back.predict_probabilities(["unseen"] * TEXTS, rows), given, atol=0.02)


@pytest.mark.parametrize(
    "kernel",
    [
        KernelExpansion(np.zeros((3, 5), np.float32), np.zeros((3, 2), np.float32), 1.0),
        KernelExpansion(np.zeros((3, DIMENSIONS), np.float32), np.zeros((2, 2), np.float32), 1.0),
        KernelExpansion(np.zeros((3, DIMENSIONS), np.float32), np.full((3, 2), np.nan, np.float32), 1.0),
        KernelExpansion(np.zeros((3, DIMENSIONS), np.float32), np.zeros((3, 2), np.float32), float("inf")),
    ],
)
def test_kernels_that_do_not_fit_are_refused(model: LinearModel, kernel: KernelExpansion):
    with pytest.raises(InvalidModel):
        deserialize_model(serialize_model(replace(model, kernel=kernel)))


def test_every_fourth_sentence_is_also_learnt_in_capitals():
    examples = [Example(f"a{number}", HARMLESS) for number in range(5)]
    assert [each.text for each in add_capitals(examples)[5:]] == ["A0", "A4"]
