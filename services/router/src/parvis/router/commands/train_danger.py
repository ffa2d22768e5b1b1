"""Implements `parvis router train-danger`: trains the model of possible dangers that the router's package carries."""

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from parvis.common.contract.errors import Misconfigured
from parvis.router.commands.evaluate import print_embedding_progress
from parvis.router.commands.training.examples import Example, deduplicate
from parvis.router.commands.training.train_danger_model import DangerReport, train_danger_model
from parvis.router.decide.classifier.linear_model import LinearModel
from parvis.router.decide.classifier.model_archive import serialize_model
from parvis.router.decide.possible_danger import DANGER, HARMLESS, SURE
from parvis.router.sandbox.embeddings import run_embedder
from parvis.router.sandbox.protocol import embedder_version
from parvis.router.settings import TrainingSettings


def train_danger(arguments: argparse.Namespace) -> int:
    """Train on the sentences of a folder, report, and write the model."""
    examples = add_capitals(deduplicate(read_sentences(arguments.folder)))
    model, report = asyncio.run(_train(examples, arguments.false_alarms))
    print(format_danger_report(report))
    arguments.out.write_bytes(serialize_model(model))
    print(f"written to {arguments.out}")
    return 0


def read_sentences(folder: Path) -> Iterator[Example]:
    """The lines of `danger*.txt` and `harmless*.txt`; what stands before a `|` is not part of the sentence, `#` begins a comment.

    Raises: Misconfigured, when there is no sentence of either kind.
    """
    for label in (DANGER, HARMLESS):
        files = sorted(folder.glob(f"{label}*.txt"))
        lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
        sentences = [line.rpartition("|")[2] for line in lines if line and not line.startswith("#")]
        if not sentences:
            raise Misconfigured(f"no sentences in {label}*.txt", file=folder, mend="write one sentence a line")
        yield from (Example(sentence, label) for sentence in sentences)


def add_capitals(examples: Sequence[Example]) -> list[Example]:
    """The examples, and every fourth one in capitals: an embedding of capitals lies elsewhere, and few people write so."""
    return [*examples, *(Example(example.text.upper(), example.label) for example in examples[::4])]


async def _train(examples: list[Example], false_alarms: float) -> tuple[LinearModel, DangerReport]:
    own = TrainingSettings()
    async with run_embedder(own.processes, own.cache_folder) as embedder:
        rows = await embedder.embed([example.text for example in examples], print_embedding_progress)
    return await asyncio.to_thread(
        train_danger_model, examples, rows, false_alarms=false_alarms, embedder=embedder_version()
    )


def format_danger_report(report: DangerReport) -> str:
    """The shares that an operator or developer compares with those of the model before."""
    return (
        f"{report.dangers} dangers, {report.harmless} harmless texts; each was predicted by a model that was not trained on it:\n"
        f"  possible from {report.threshold:.2f} on: {report.recall:.1%} of the dangers, {report.false_alarms:.1%} of the harmless\n"
        f"  sure from {SURE:.2f} on: {report.sure_recall:.1%} of the dangers, {report.sure_false_alarms:.1%} of the harmless"
    )
