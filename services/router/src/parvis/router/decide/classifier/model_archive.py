"""Serializes a model as a zip archive of plain arrays, and reads it back without pickle. Pure; no I/O."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parvis.router.decide.classifier.kernel_expansion import KernelExpansion
from parvis.router.decide.classifier.linear_model import DIMENSIONS, LinearModel
from parvis.router.decide.classifier.text_features import BUCKETS, FEATURE_KINDS

FORMAT, FORMAT_WITH_KERNEL = 1, 2  # a router that knows no kernel refuses the second
_MAX_LABELS = 1000


class InvalidModel(Exception):
    """Bytes that are not a model in our format."""


@dataclass(frozen=True)
class ModelHeader:
    """A model's metadata: its labels, its decision threshold and the embedder it was trained with."""

    labels: tuple[str, ...]
    threshold: float
    embedder: str


@dataclass(frozen=True)
class ModelArchive:
    """A model's archive, for the worker process, and the metadata that the router needs."""

    version: str
    threshold: float
    content: bytes


def serialize_model(model: LinearModel) -> bytes:
    """The model as an .npz archive; equal models give equal bytes. The members' names are part of FORMAT."""
    kernel = model.kernel
    header = {
        "format": FORMAT_WITH_KERNEL if kernel else FORMAT,
        "threshold": model.threshold,
        "unseen": model.unseen_idf,
        "embedder": model.embedder,
        "labels": model.labels,
        **({"gamma": kernel.gamma, "unit": _unit(kernel)} if kernel else {}),
    }
    arrays: dict[str, NDArray[np.generic]] = {
        "head": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
        "slots": model.buckets.astype(np.int32),
        "rarity": model.idf.astype(np.float16),
        "weights": model.ngram_weights.astype(np.float16),
        "middle": model.mean_embedding.astype(np.float32),
        "meaning": model.embedding_weights.astype(np.float32),
        "constant": model.intercept.astype(np.float32),
    }
    if kernel:
        arrays |= {
            "points": np.rint(kernel.points / _unit(kernel)).astype(np.int8),
            "pulls": kernel.weights,
        }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # fixed date (1980), so that the bytes do not depend on the clock
            entry.compress_type = zipfile.ZIP_DEFLATED
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            archive.writestr(entry, content.getvalue())
    return out.getvalue()


def read_header(content: bytes) -> ModelHeader:
    """Read the header alone; the arrays are not decompressed.

    Raises: InvalidModel, for any other bytes.
    """
    with _open_arrays(content) as arrays:
        return _parse_header(arrays)[0]


def deserialize_model(content: bytes) -> LinearModel:
    """Read a whole model.

    Raises: InvalidModel, for any other bytes and for arrays whose shapes do not match.
    """
    with _open_arrays(content) as arrays:
        header, unseen_idf = _parse_header(arrays)
        model = LinearModel(
            labels=header.labels,
            buckets=arrays["slots"].astype(np.int64),
            idf=arrays["rarity"].astype(np.float32),
            unseen_idf=unseen_idf,
            ngram_weights=arrays["weights"].astype(np.float32),
            mean_embedding=arrays["middle"].astype(np.float32),
            embedding_weights=arrays["meaning"].astype(np.float32),
            intercept=arrays["constant"].astype(np.float32),
            threshold=header.threshold,
            embedder=header.embedder,
            kernel=_read_kernel(arrays),
        )
        if not _is_consistent(model):
            raise InvalidModel("the arrays of the model do not fit together")
        return model


_Arrays = Mapping[str, NDArray[Any]]
# Raised by numpy, zipfile and json for invalid bytes.
_UNREADABLE = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, RuntimeError, SyntaxError, zipfile.BadZipFile, zlib.error, struct.error),
)


@contextmanager
def _open_arrays(content: bytes) -> Generator[_Arrays]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            yield arrays
    except InvalidModel:
        raise
    except _UNREADABLE as error:
        raise InvalidModel("not a model") from error


def _parse_header(arrays: _Arrays) -> tuple[ModelHeader, float]:
    header = json.loads(arrays["head"].tobytes())
    if header["format"] not in (FORMAT, FORMAT_WITH_KERNEL):
        raise InvalidModel(f"model format {header['format']!r}; this version reads format {FORMAT}: train again")
    labels = tuple(str(label) for label in header["labels"])
    return ModelHeader(labels, float(header["threshold"]), str(header["embedder"])), float(header["unseen"])


def _read_kernel(arrays: _Arrays) -> KernelExpansion | None:
    header = json.loads(arrays["head"].tobytes())
    if header["format"] != FORMAT_WITH_KERNEL:
        return None
    points = arrays["points"].astype(np.float32) * np.float32(header["unit"])
    return KernelExpansion(points, arrays["pulls"].astype(np.float32), float(header["gamma"]))


def _unit(kernel: KernelExpansion) -> float:
    """What one step of a byte stands for, so that the largest coordinate is 127."""
    return float(np.abs(kernel.points).max()) / 127 or 1.0


def _is_consistent(model: LinearModel) -> bool:
    labels, buckets = len(model.labels), len(model.buckets)
    weights = (model.ngram_weights, model.embedding_weights, model.intercept, model.mean_embedding)
    shapes = (model.idf.shape, *(array.shape for array in weights))
    return (
        1 < labels <= _MAX_LABELS
        and buckets > 0
        and shapes == ((buckets,), (buckets, labels), (DIMENSIONS, labels), (labels,), (DIMENSIONS,))
        and bool((np.diff(model.buckets) > 0).all())
        and int(model.buckets[0]) >= 0
        and int(model.buckets[-1]) < FEATURE_KINDS * BUCKETS
        and all(bool(np.isfinite(array).all()) for array in weights)
        and (model.kernel is None or _is_consistent_kernel(model.kernel, labels))
    )


def _is_consistent_kernel(kernel: KernelExpansion, labels: int) -> bool:
    points = len(kernel.points)
    shapes = (kernel.points.shape, kernel.weights.shape)
    is_finite = bool(np.isfinite(kernel.weights).all()) and 0 < kernel.gamma < float("inf")
    return points > 0 and shapes == ((points, DIMENSIONS), (points, labels)) and is_finite
