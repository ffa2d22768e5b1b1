"""Implements `parvis router train`: trains a model on labelled texts and transferred conversations, reports, and stores it."""

import argparse
import asyncio
import hashlib
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np

from parvis.common.bus.connection import KafkaConnection
from parvis.common.contract import topics
from parvis.common.contract.contact import TRIAGE, ContactId
from parvis.common.contract.errors import Misconfigured, Rejected
from parvis.common.runtime.clock import now
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.postgres import Database
from parvis.common.town.loading import load_town_config
from parvis.common.town.models import TownConfig
from parvis.router.commands.contact_topic_reader import read_contacts
from parvis.router.commands.evaluate import print_embedding_progress, print_progress
from parvis.router.commands.training.examples import Example, deduplicate, read_examples
from parvis.router.commands.training.fit_classifier import (
    MAX_EXAMPLES,
    TooFewExamples,
    TrainingReport,
    check_enough,
    train_classifier,
)
from parvis.router.commands.training.metrics import UNREACHABLE_THRESHOLD
from parvis.router.decide.classification import text_to_classify
from parvis.router.decide.classifier.linear_model import LinearModel
from parvis.router.decide.classifier.model_archive import serialize_model
from parvis.router.fetch.active_model import MEDIA_TYPE
from parvis.router.models.stored_rows import TrainedModelRow
from parvis.router.sandbox.embeddings import TextEmbedder, run_embedder
from parvis.router.sandbox.protocol import embedder_version
from parvis.router.settings import TrainingSettings
from parvis.router.store import trained_models

_BLOB_FOLDER = ContactId("router-models")


def train_model(arguments: argparse.Namespace) -> int:
    """Train and report; store the model unless it is a trial; activate it if asked to."""
    town = None if arguments.trial and not arguments.transfers else load_settings(SharedSettings)
    config = next((path for path in arguments.sources if path.is_dir()), None) or (town and town.config_dir)
    if config is None:
        raise Misconfigured(
            "no configuration folder was given: its departments are needed", mend="parvis router train DIR"
        )
    town_config = load_town_config(config)
    files = _example_files(arguments.sources or [config])
    examples = [example for path in files for example in read_examples(path, town_config.departments)]
    transferred = asyncio.run(_read_transferred(town, arguments.days)) if town and arguments.transfers else []
    model, report = asyncio.run(_train(examples, transferred, town_config, arguments))
    for line in format_report(report):
        print(line)
    if town is None or arguments.trial:
        print("trial: the model was not stored")
        return 0
    version = asyncio.run(_store(town, model, report, should_activate=arguments.activate))
    print(f"stored as {version}" + (", active from now on" if arguments.activate else ""))
    if not arguments.activate:
        print(f"activate it with: parvis router activate {version}")
    return 0


def _example_files(sources: Sequence[Path]) -> list[Path]:
    """The example files. A configuration folder may have none: other files and transfers may be enough."""
    files = [path / "examples.jsonl" if path.is_dir() else path for path in sources]
    return [file for file, path in zip(files, sources, strict=True) if not path.is_dir() or file.exists()]


async def _read_transferred(town: SharedSettings, days: int) -> list[Example]:
    """The first contact of every transferred conversation, labelled with its present department. No text is stored."""
    since = now() - timedelta(days=days)
    database = Database(town.database_url.get_secret_value(), service="router-train")
    try:
        async with database.transaction() as connection:
            labels = await trained_models.find_transferred_contacts(connection, since)
    finally:
        await database.close()
    labels = {str(contact_id): department for contact_id, department in labels.items() if department != TRIAGE}
    examples: dict[str, Example] = {}
    if labels:
        topic = topics.CONTACT_RECEIVED.full_name(town.topic_prefix)
        async for contact in read_contacts(KafkaConnection.from_settings(town), topic):
            contact_id = contact.contact_id
            if contact_id in labels and contact.machine is None and text_to_classify(contact).strip():
                examples[contact_id] = Example(text_to_classify(contact), labels[contact_id], contact.language)
    print_progress(
        f"{len(labels)} conversations transferred in {days} days; Kafka still has the text of {len(examples)}"
    )
    return list(examples.values())


async def _train(
    examples: Sequence[Example], transferred: Sequence[Example], town_config: TownConfig, arguments: argparse.Namespace
) -> tuple[LinearModel, TrainingReport]:
    """Train on files, then transfers: for equal texts the agents' latest decision counts."""
    current = [
        Example(example.text, town_config.current_department(example.label), example.language)
        for example in (*examples, *transferred)
    ]
    known = deduplicate(current)
    if len(known) > MAX_EXAMPLES:
        print_progress(f"{len(known)} texts: only the last {MAX_EXAMPLES} are used")
    known = known[-MAX_EXAMPLES:]
    try:
        check_enough(known)
    except TooFewExamples as error:
        raise Rejected(f"too few examples: {error}") from error
    descriptions = [*_describe_departments(town_config, {example.label for example in known})]
    own = TrainingSettings()
    private = {example.text for example in transferred}
    async with run_embedder(own.processes, None if arguments.no_cache else own.cache_folder) as embedder:
        rows = await _embed(embedder, [*known, *descriptions], private)
    return await asyncio.to_thread(
        train_classifier, known, descriptions, rows, precision=arguments.precision, embedder=embedder_version()
    )


async def _embed(embedder: TextEmbedder, examples: Sequence[Example], private: set[str]) -> np.ndarray:
    """Embed all texts. Embeddings of citizens' messages are never cached on disk."""
    public = [example.text for example in examples if example.text not in private]
    hidden = [example.text for example in examples if example.text in private]
    rows = dict(zip(public, await embedder.embed(public, print_embedding_progress), strict=True))
    rows |= dict(zip(hidden, await embedder.embed(hidden, print_embedding_progress, use_cache=False), strict=True))
    return np.stack([rows[example.text] for example in examples])


def _describe_departments(town_config: TownConfig, labels: set[str]) -> Sequence[Example]:
    """The name and summary of each department in every language, from departments.yaml."""
    return [
        Example(f"{name}. {department.summary.get(language, '')}", slug, language)
        for slug, department in town_config.departments.items()
        if slug in labels and slug != TRIAGE
        for language, name in department.name.items()
    ]


def format_report(report: TrainingReport) -> Sequence[str]:
    """Format the report, so that an operator can judge whether to activate the model."""
    row, point = report.metrics.to_row(), report.operating_point
    lines = [
        f"{report.examples} different texts; each was predicted by a model that was not trained on it:",
        f"  accuracy {row['accuracy']:.3f}, macro-F1 {row['macro_f1']:.3f}, "
        f"precision {row['precision_at_50']:.3f} at 50 % coverage, {row['precision_at_80']:.3f} at 80 %",
    ]
    if point.threshold >= UNREACHABLE_THRESHOLD:
        lines.append(
            f"  no confidence is enough for {report.target_precision:.0%} precision: it will only suggest departments to agents"
        )
    else:
        lines.append(
            f"  it decides from confidence {point.threshold:.2f} on: {point.coverage:.0%} of the texts, {point.precision:.1%} of them right"
        )
    lines.append(f"  {'department':28}{'texts':>7}{'precision':>11}{'recall':>9}")
    lines += [
        f"  {each.label:28}{each.examples:>7}{each.precision:>11.2f}{each.recall:>9.2f}" for each in report.labels
    ]
    return lines


async def _store(town: SharedSettings, model: LinearModel, report: TrainingReport, *, should_activate: bool) -> str:
    content = serialize_model(model)
    version = f"m-{hashlib.sha256(content).hexdigest()[:12]}"
    claim = await BlobStore(town.blobs_url).put(_BLOB_FOLDER, content, MEDIA_TYPE)
    row = TrainedModelRow(
        version, claim.blob, claim.sha256, claim.size_bytes, json.dumps(summarize_report(report)), now()
    )
    database = Database(town.database_url.get_secret_value(), service="router-train")
    try:
        async with database.transaction() as connection:
            await trained_models.insert_model(connection, row)
            if should_activate:
                await trained_models.record_activation(connection, version, now())
    finally:
        await database.close()
    return version


def summarize_report(report: TrainingReport) -> dict[str, object]:
    """The summary stored beside the model; it contains no text."""
    return {
        **report.metrics.to_row(),
        "examples": report.examples,
        "threshold": report.operating_point.threshold,
        "coverage": round(report.operating_point.coverage, 4),
        "precision": round(report.operating_point.precision, 4),
        "labels": {each.label: each.examples for each in report.labels},
    }
