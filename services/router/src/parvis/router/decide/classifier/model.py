"""Arrays in, how likely each department is for a text out; and arrays to bytes and back, without pickle. Pure."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parvis.router.decide.classifier.features import KINDS, SLOTS, Counted, Floats, Ints, counted
from parvis.router.decide.classifier.regression import softmax

FORMAT = 1
DIMENSIONS = 384  # of multilingual-e5-small
_MOST_LABELS = 1000


class BadModel(Exception):
    """Bytes that are no model of ours."""


@dataclass(frozen=True)
class Head:
    """What one must know of a model to take it: its labels, from which confidence on it decides, what embeds for it."""

    labels: tuple[str, ...]
    threshold: float
    embedder: str


@dataclass(frozen=True)
class Model:
    """A linear model on hashed n-grams and on the meaning of a text.

    `slots` are sorted; `weights` has a row for each and a column a label. `middle` is the mean embedding of the examples.
    """

    labels: tuple[str, ...]
    slots: Ints
    rarity: Floats
    unseen: float
    weights: Floats
    middle: Floats
    meaning: Floats
    constant: Floats
    threshold: float
    embedder: str

    def probabilities(self, texts: Sequence[str], embeddings: Floats) -> Floats:
        """A row a text, a column a label; rows add up to one."""
        scores = turned(embeddings, self.middle) @ self.meaning + self.constant
        rarity = np.full(KINDS * SLOTS, self.unseen, dtype=np.float32)
        rarity[self.slots] = self.rarity
        for row, text in enumerate(texts):
            scores[row] += self._said(counted(text).weighted(rarity))
        return softmax(scores)

    def _said(self, text: Counted) -> Floats:
        at = np.minimum(np.searchsorted(self.slots, text.slots), len(self.slots) - 1)
        known = self.slots[at] == text.slots
        return text.values[known] @ self.weights[at[known]]


def turned(embeddings: Floats, middle: Floats) -> Floats:
    """Embeddings as directions from the middle: all of them lie in one narrow cone."""
    away = embeddings - middle
    return (away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)).astype(np.float32)


def packed(model: Model) -> bytes:
    """A model as bytes that numpy reads without pickle; the same model gives the same bytes."""
    head = {"format": FORMAT, "threshold": model.threshold, "unseen": model.unseen, "embedder": model.embedder}
    arrays: dict[str, NDArray[np.generic]] = {
        "head": _text(json.dumps(head | {"labels": model.labels})),
        "slots": model.slots.astype(np.int32),
        "rarity": model.rarity.astype(np.float16),
        "weights": model.weights.astype(np.float16),
        "middle": model.middle.astype(np.float32),
        "meaning": model.meaning.astype(np.float32),
        "constant": model.constant.astype(np.float32),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # always of 1980
            entry.compress_type = zipfile.ZIP_DEFLATED
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            archive.writestr(entry, content.getvalue())
    return out.getvalue()


def head_of(content: bytes) -> Head:
    """The head of the model in these bytes; its arrays are not read.

    Raises: BadModel, whatever else they are.
    """
    with _opened(content) as arrays:
        return _head(arrays)[0]


def unpacked(content: bytes) -> Model:
    """The model in these bytes.

    Raises: BadModel, whatever else they are.
    """
    with _opened(content) as arrays:
        head, unseen = _head(arrays)
        model = Model(
            labels=head.labels,
            slots=arrays["slots"].astype(np.int64),
            rarity=arrays["rarity"].astype(np.float32),
            unseen=unseen,
            weights=arrays["weights"].astype(np.float32),
            middle=arrays["middle"].astype(np.float32),
            meaning=arrays["meaning"].astype(np.float32),
            constant=arrays["constant"].astype(np.float32),
            threshold=head.threshold,
            embedder=head.embedder,
        )
        if not _fits(model):
            raise BadModel("a model whose parts do not fit together")
        return model


_Arrays = Mapping[str, NDArray[Any]]
# What numpy, zipfile and json raise for bytes that are something else.
_UNREADABLE = (
    *(
        OSError,
        EOFError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RuntimeError,
        SyntaxError,
    ),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


@contextmanager
def _opened(content: bytes) -> Generator[_Arrays]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            yield arrays
    except BadModel:
        raise
    except _UNREADABLE as error:
        raise BadModel("not a model") from error


def _head(arrays: _Arrays) -> tuple[Head, float]:
    head = json.loads(arrays["head"].tobytes())
    if head["format"] != FORMAT:
        raise BadModel("a model of another make")
    labels = tuple(str(label) for label in head["labels"])
    return Head(labels, float(head["threshold"]), str(head["embedder"])), float(head["unseen"])


def _fits(model: Model) -> bool:
    labels, slots = len(model.labels), len(model.slots)
    shapes = (model.rarity.shape, model.weights.shape, model.middle.shape, model.meaning.shape, model.constant.shape)
    return (
        1 < labels <= _MOST_LABELS
        and slots > 0
        and shapes == ((slots,), (slots, labels), (DIMENSIONS,), (DIMENSIONS, labels), (labels,))
        and bool((np.diff(model.slots) > 0).all())
        and int(model.slots[0]) >= 0
        and int(model.slots[-1]) < KINDS * SLOTS
        and all(bool(np.isfinite(part).all()) for part in (model.weights, model.meaning, model.constant, model.middle))
    )


def _text(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), dtype=np.uint8)
