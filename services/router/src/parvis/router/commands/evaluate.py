"""`parvis router evaluate`: kinds of models, trained on one file of sorted texts and tried on another."""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

import numpy as np

from parvis.common.contract.errors import Misconfigured
from parvis.router.decide.classifier.contenders import KINDS, Trial, named
from parvis.router.decide.classifier.examples import Example, without_repeats
from parvis.router.decide.classifier.judging import Figures, judged
from parvis.router.decide.classifier.training import MOST
from parvis.router.read.embedding import Embeddings, embeddings
from parvis.router.read.examples import read_examples
from parvis.router.settings import LearningSettings

_FIGURES = ("accuracy", "macro_f1", "precision_at_50", "precision_at_80")


def evaluate(arguments: argparse.Namespace) -> int:
    known, tried = read_examples(arguments.train), read_examples(arguments.test)
    known = without_repeats(known)[-MOST:]
    if len({example.label for example in known}) < 2:
        raise Misconfigured("all examples have one label: there is nothing to tell apart", file=arguments.train)
    own = LearningSettings()
    folder = None if arguments.no_cache else own.cache_folder
    figures = asyncio.run(figures_of(known, tried, own.processes, folder))
    if arguments.json:
        print(json.dumps({kind: one.row() for kind, one in figures.items()}))
    else:
        _show(figures, len(known), len(tried))
    return 0


async def figures_of(
    known: list[Example], tried: list[Example], processes: int, folder: Path | None
) -> dict[str, Figures]:
    """Every kind, trained on `known` and tried on the others."""
    async with embeddings(processes, folder) as meaning:
        trial = await _trial(known, tried, meaning)
    labels = trial.labels
    truth = np.array([labels.index(example.label) if example.label in labels else -1 for example in tried])
    found: dict[str, Figures] = {}
    for kind, asked in KINDS.items():
        began = time.monotonic()
        found[kind] = judged(asked(trial), truth, count=len(labels))
        say(f"{kind}: {time.monotonic() - began:.1f} s")
    return found


async def _trial(known: list[Example], tried: list[Example], meaning: Embeddings) -> Trial:
    hints = [Example(named(label), label) for label in sorted({example.label for example in known})]
    every = [*known, *hints, *tried]
    rows = await meaning.of([example.text for example in every], told)
    first, second = len(known), len(known) + len(hints)
    return Trial(known, hints, rows[:first], rows[first:second], [example.text for example in tried], rows[second:])


def told(done: int, of: int) -> None:
    """Progress, for whoever waits."""
    if done == of or done % 160 == 0:
        say(f"{done} of {of} texts embedded")


def say(line: str) -> None:
    """What is not the answer."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _show(figures: dict[str, Figures], known: int, tried: int) -> None:
    print(f"trained on {known} texts, tried on {tried}")
    print(f"{'':20}{'accuracy':>10}{'macro-F1':>10}{'at 50 %':>10}{'at 80 %':>10}")
    for kind, one in figures.items():
        print(f"{kind:20}" + "".join(f"{one.row()[name]:>10.3f}" for name in _FIGURES))
