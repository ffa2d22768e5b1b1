"""Implements `parvis router evaluate`: trains the classifier and its baselines on one file and tests them on another."""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

import numpy as np

from parvis.common.contract.errors import Misconfigured
from parvis.router.commands.training.baselines import BASELINES, TrainTestSplit, label_to_words
from parvis.router.commands.training.examples import Example, deduplicate, read_examples
from parvis.router.commands.training.fit_classifier import MAX_EXAMPLES
from parvis.router.commands.training.metrics import ClassificationMetrics, compute_metrics
from parvis.router.sandbox.embeddings import TextEmbedder, run_embedder
from parvis.router.settings import TrainingSettings

_COLUMNS = ("accuracy", "macro_f1", "precision_at_50", "precision_at_80")


def evaluate(arguments: argparse.Namespace) -> int:
    train, test = read_examples(arguments.train), read_examples(arguments.test)
    train = deduplicate(train)[-MAX_EXAMPLES:]
    if len({example.label for example in train}) < 2:
        raise Misconfigured("contains only one label; at least two are needed", file=arguments.train)
    own = TrainingSettings()
    cache_folder = None if arguments.no_cache else own.cache_folder
    metrics = asyncio.run(evaluate_all(train, test, own.processes, cache_folder))
    if arguments.json:
        print(json.dumps({name: each.to_row() for name, each in metrics.items()}))
    else:
        _print_table(metrics, len(train), len(test))
    return 0


async def evaluate_all(
    train: list[Example], test: list[Example], processes: int, cache_folder: Path | None
) -> dict[str, ClassificationMetrics]:
    """The metrics of every baseline and of the router's own classifier (`joint`)."""
    async with run_embedder(processes, cache_folder) as embedder:
        split = await _embed_split(train, test, embedder)
    labels = split.labels
    truth = np.array([labels.index(example.label) if example.label in labels else -1 for example in test])
    metrics: dict[str, ClassificationMetrics] = {}
    for name, predict in BASELINES.items():
        started = time.monotonic()
        metrics[name] = compute_metrics(predict(split), truth, class_count=len(labels))
        print_progress(f"{name}: {time.monotonic() - started:.1f} s")
    return metrics


async def _embed_split(train: list[Example], test: list[Example], embedder: TextEmbedder) -> TrainTestSplit:
    descriptions = [Example(label_to_words(label), label) for label in sorted({example.label for example in train})]
    every = [*train, *descriptions, *test]
    rows = await embedder.embed([example.text for example in every], print_embedding_progress)
    first, second = len(train), len(train) + len(descriptions)
    test_texts = [example.text for example in test]
    return TrainTestSplit(train, descriptions, rows[:first], rows[first:second], test_texts, rows[second:])


def print_embedding_progress(done: int, total: int) -> None:
    if done == total or done % 160 == 0:
        print_progress(f"{done} of {total} texts embedded")


def print_progress(line: str) -> None:
    """Print to standard error; standard output has only the result."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _print_table(metrics: dict[str, ClassificationMetrics], train: int, test: int) -> None:
    print(f"trained on {train} texts, tested on {test}; precision at 50 % and 80 % coverage")
    print(f"{'':20}{'accuracy':>10}{'macro-F1':>10}{'at 50 %':>10}{'at 80 %':>10}")
    for name, each in metrics.items():
        print(f"{name:20}" + "".join(f"{each.to_row()[column]:>10.3f}" for column in _COLUMNS))
