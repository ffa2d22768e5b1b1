"""`parvis router train`: texts that people sorted, and conversations that they moved, in; a model and what it is worth out."""

import argparse
import asyncio
import hashlib
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import numpy as np

from parvis.common.bus.admin import read_all_records
from parvis.common.contract import topics
from parvis.common.contract.contact import TRIAGE, ContactId, ContactReceived
from parvis.common.contract.errors import Misconfigured, Rejected
from parvis.common.runtime.clock import now
from parvis.common.runtime.settings import TownSettings, load_settings
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database
from parvis.common.town.loading import load_town_config
from parvis.common.town.models import TownConfig
from parvis.router.commands.evaluate import say, told
from parvis.router.decide.classifier import Example, Model, Report, TooFew, train
from parvis.router.decide.classifier.examples import without_repeats
from parvis.router.decide.classifier.model import packed
from parvis.router.decide.classifier.training import MOST, check_enough
from parvis.router.decide.guessing import words_of
from parvis.router.models.stored_rows import ModelRow
from parvis.router.read.embedding import Embeddings, embeddings
from parvis.router.read.examples import read_examples
from parvis.router.read.frames import embedder
from parvis.router.read.live_model import MEDIA_TYPE
from parvis.router.settings import LearningSettings
from parvis.router.store import models

_FOLDER = ContactId("router-models")  # of the blob store
_NEVER = 1.0


def train_model(arguments: argparse.Namespace) -> int:
    """Read, learn, report; keep the model unless it is a trial; let it decide where that is asked."""
    town = None if arguments.trial and not arguments.transfers else load_settings(TownSettings)
    config = next((path for path in arguments.sources if path.is_dir()), None) or (town and town.config_dir)
    if config is None:
        raise Misconfigured("name the configuration folder, for its departments", mend="parvis router train DIR")
    town_config = load_town_config(config)
    files = _files(arguments.sources or [config])
    examples = [example for path in files for example in read_examples(path, town_config.departments)]
    moved = asyncio.run(_moved(town, arguments.days)) if town and arguments.transfers else []
    model, report = asyncio.run(_learned(examples, moved, town_config, arguments))
    for line in told_of(report):
        print(line)
    if town is None or arguments.trial:
        print("a trial: nothing was kept")
        return 0
    version = asyncio.run(_kept(town, model, report, is_active=arguments.activate))
    print(f"{version} was kept" + (" and decides from now on" if arguments.activate else ""))
    if not arguments.activate:
        print(f"let it decide with: parvis router activate {version}")
    return 0


def _files(sources: Sequence[Path]) -> list[Path]:
    """A configuration folder may hold no examples: then there are those of the files, and of the transfers."""
    files = [path / "examples.jsonl" if path.is_dir() else path for path in sources]
    return [file for file, path in zip(files, sources, strict=True) if not path.is_dir() or file.exists()]


async def _moved(town: TownSettings, days: int) -> list[Example]:
    """The first contact of every conversation that people moved, with the department where it ended up.

    Says: how many there are, and of how many Kafka still holds the text; nothing of a text is written anywhere.
    """
    since = now() - timedelta(days=days)
    database = Database(town.database_url.get_secret_value(), service="router-train")
    try:
        async with database.transaction() as connection:
            wanted = await models.moved_by_people(connection, since)
    finally:
        await database.close()
    wanted = {key: department for key, department in wanted.items() if department != TRIAGE}
    found: dict[UUID, Example] = {}
    if wanted:
        topic = topics.CONTACT_RECEIVED.full_name(town.topic_prefix)
        async for received in read_all_records(town.kafka_bootstrap, [topic]):
            contact = ContactReceived.model_validate_json(received.value)
            key = UUID(contact.contact_id)
            if key in wanted and contact.machine is None and words_of(contact).strip():
                found[key] = Example(words_of(contact), wanted[key], contact.language)
    say(f"{len(wanted)} conversations were moved by people in {days} days; of {len(found)} the text is still in Kafka")
    return list(found.values())


async def _learned(
    examples: Sequence[Example], moved: Sequence[Example], town_config: TownConfig, arguments: argparse.Namespace
) -> tuple[Model, Report]:
    """What agents decided last counts: their moves come after the files."""
    current = [
        Example(example.text, town_config.current_department(example.label), example.language)
        for example in (*examples, *moved)
    ]
    known = without_repeats(current)
    if len(known) > MOST:
        say(f"{len(known)} texts: the last {MOST} are learned")
    known = known[-MOST:]
    try:
        check_enough(known)
    except TooFew as error:
        raise Rejected(f"too little to learn from: {error}") from error
    hints = [*_hints(town_config, {example.label for example in known})]
    own = LearningSettings()
    private = {example.text for example in moved}
    async with embeddings(own.processes, None if arguments.no_cache else own.cache_folder) as meaning:
        rows = await _rows(meaning, [*known, *hints], private)
    return await asyncio.to_thread(train, known, hints, rows, precision=arguments.precision, embedder=embedder())


async def _rows(meaning: Embeddings, examples: Sequence[Example], private: set[str]) -> np.ndarray:
    """What citizens wrote is not remembered on disk, not even as numbers."""
    public = [example.text for example in examples if example.text not in private]
    hidden = [example.text for example in examples if example.text in private]
    found = dict(zip(public, await meaning.of(public, told), strict=True))
    found |= dict(zip(hidden, await meaning.of(hidden, told, keep=False), strict=True))
    return np.stack([found[example.text] for example in examples])


def _hints(town_config: TownConfig, labels: set[str]) -> Sequence[Example]:
    """What departments.yaml says of a department, in every language."""
    return [
        Example(f"{name}. {department.summary.get(language, '')}", slug, language)
        for slug, department in town_config.departments.items()
        if slug in labels and slug != TRIAGE
        for language, name in department.name.items()
    ]


def told_of(report: Report) -> Sequence[str]:
    """The report, for an operator who decides whether this model may decide."""
    row, cut = report.figures.row(), report.cut
    lines = [
        f"{report.examples} different texts; each was tried by a model that did not know it:",
        f"  accuracy {row['accuracy']:.3f}, macro-F1 {row['macro_f1']:.3f}, "
        f"precision {row['precision_at_50']:.3f} at 50 % coverage, {row['precision_at_80']:.3f} at 80 %",
    ]
    if cut.threshold > _NEVER:
        lines.append(f"  at no confidence {report.wanted:.0%} are right: it will guess for agents, and decide nothing")
    else:
        lines.append(
            f"  it decides from confidence {cut.threshold:.2f} on: {cut.coverage:.0%} of the texts, {cut.precision:.1%} of them right"
        )
    lines.append(f"  {'department':28}{'texts':>7}{'precision':>11}{'recall':>9}")
    lines += [f"  {one.label:28}{one.examples:>7}{one.precision:>11.2f}{one.recall:>9.2f}" for one in report.labels]
    return lines


async def _kept(town: TownSettings, model: Model, report: Report, *, is_active: bool) -> str:
    content = packed(model)
    version = f"m-{hashlib.sha256(content).hexdigest()[:12]}"
    claim = await BlobStore(town.blobs_url).put(_FOLDER, content, MEDIA_TYPE)
    row = ModelRow(version, claim.blob, claim.sha256, claim.size_bytes, json.dumps(summary(report)), now())
    database = Database(town.database_url.get_secret_value(), service="router-train")
    try:
        async with database.transaction() as connection:
            await models.add_model(connection, row)
            if is_active:
                await models.activate(connection, version, now())
    finally:
        await database.close()
    return version


def summary(report: Report) -> dict[str, object]:
    """What is kept of a training beside the model; without a word of a text."""
    return {
        **report.figures.row(),
        "examples": report.examples,
        "threshold": report.cut.threshold,
        "coverage": round(report.cut.coverage, 4),
        "precision": round(report.cut.precision, 4),
        "labels": {one.label: one.examples for one in report.labels},
    }
