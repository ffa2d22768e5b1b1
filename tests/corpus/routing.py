"""Compares generated rules, the classifier and both on public texts that people have labelled.

Every text is predicted by models that were trained neither on it nor on a near duplicate (five folds; a request in two languages stays
in one fold). The rules are generated: a text that contains a word of a label's name gets that label. A town's own rules do better on
its own messages.
"""

import asyncio
import json
import os
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parvis.local.stack import Stack
from parvis.router.commands.training.baselines import BASELINES, TrainTestSplit, label_to_words
from parvis.router.commands.training.examples import Example
from parvis.router.commands.training.gram_matrix import compute_gram_matrix
from parvis.router.commands.training.linear_ensemble import find_near_duplicates
from parvis.router.commands.training.metrics import ClassificationMetrics, compute_metrics
from parvis.router.decide.classifier.text_features import Floats, compute_idf, hash_ngrams
from parvis.router.sandbox.embeddings import TextEmbedder, run_embedder
from tests.corpus.corpus import Corpus, Score

_FOLDS = 5
_FEWEST = 100
_CACHE = Path("var/corpus/embeddings")


@dataclass(frozen=True)
class _Set:
    """Texts of one source in one language; texts of one entry in `groups` stay in one fold."""

    name: str
    examples: Sequence[Example]
    groups: tuple[str, ...]

    def folds(self) -> list[list[int]]:
        texts = [hash_ngrams(example.text) for example in self.examples]
        rare = compute_idf(texts)
        numbers = find_near_duplicates(compute_gram_matrix([text.weigh(rare) for text in texts]))
        folds: list[list[int]] = [[] for _ in range(_FOLDS)]
        for number, leader in enumerate(numbers.tolist()):
            folds[zlib.crc32(self.groups[leader].encode()) % _FOLDS].append(number)
        return folds


async def run(folder: Path, stack: Stack) -> Sequence[Score]:
    scores: list[Score] = []
    async with run_embedder(max(1, min(4, os.cpu_count() or 1)), _CACHE) as embedder:
        sets = {text_set.name: text_set for file in sorted(folder.glob("*.jsonl")) for text_set in _sets(file)}
        for text_set in sets.values():
            print(f"      {text_set.name}: {len(text_set.examples)} texts", flush=True)
            scores += _scores(text_set.name, await _figures(text_set, text_set, embedder))
        if {"ati_canada fr", "ati_canada en"} <= sets.keys():
            figures = await _figures(sets["ati_canada fr"], sets["ati_canada en"], embedder, kinds=("joint",))
            scores += [
                Score("ati_canada, trained on French, English tried: macro-F1", "share", figures["joint"].macro_f1),
                Score("  precision at 50 %", "share", figures["joint"].precision_at_50),
            ]
    return scores


def _sets(file: Path) -> list[_Set]:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in file.read_text().splitlines():
        row = json.loads(line)
        rows[row["lang"]].append(row)
    return [
        _Set(
            f"{file.stem} {language}",
            [Example(row["text"], row["label"], language) for row in some_rows],
            tuple(str(row.get("req") or row["text"]) for row in some_rows),
        )
        for language, some_rows in sorted(rows.items())
        if len(some_rows) >= _FEWEST
    ]


async def _figures(
    training_set: _Set, test_set: _Set, embedder: TextEmbedder, kinds: Sequence[str] = ()
) -> dict[str, ClassificationMetrics]:
    labels = sorted({example.label for example in (*training_set.examples, *test_set.examples)})
    rows = [await _rows(embedder, text_set.examples) for text_set in (training_set, test_set)]
    hints = [Example(label_to_words(label), label) for label in labels]
    hint_rows = await _rows(embedder, hints)
    predictions = {
        kind: np.zeros((len(test_set.examples), len(labels) + 1), dtype=np.float32) for kind in kinds or BASELINES
    }
    for fold, held_out in zip(test_set.folds(), training_set.folds(), strict=True):
        training = np.setdiff1d(np.arange(len(training_set.examples)), held_out)
        present = sorted({training_set.examples[number].label for number in training})
        hint_numbers = [number for number, hint in enumerate(hints) if hint.label in present]
        trial = TrainTestSplit(
            [training_set.examples[number] for number in training],
            [hints[number] for number in hint_numbers],
            rows[0][training],
            hint_rows[hint_numbers],
            [test_set.examples[number].text for number in fold],
            rows[1][fold],
        )
        columns = [labels.index(label) for label in present]
        for kind, shares in predictions.items():
            predicted = await asyncio.to_thread(BASELINES[kind], trial)
            shares[np.ix_(fold, columns)] = predicted[:, : len(columns)]
            if predicted.shape[1] > len(columns):
                shares[fold, -1] = predicted[:, -1]
    truth = np.array([labels.index(example.label) for example in test_set.examples])
    return {kind: compute_metrics(shares, truth, class_count=len(labels)) for kind, shares in predictions.items()}


async def _rows(embedder: TextEmbedder, examples: Sequence[Example]) -> Floats:
    return await embedder.embed([example.text for example in examples])


def _scores(name: str, figures: dict[str, ClassificationMetrics]) -> list[Score]:
    titles = {"rules": "rules alone", "joint": "model alone", "both": "both"}
    scores: list[Score] = []
    for kind, metrics in figures.items():
        title = f"{name}, {titles.get(kind, kind)}"
        is_ours = kind == "joint"
        scores += [
            Score(f"{title}: accuracy", "share", metrics.accuracy),
            Score("  macro-F1", "share", metrics.macro_f1),
            Score("  precision at 50 %", "share", metrics.precision_at_50, ">= 0.95" if is_ours else ""),
            Score("  precision at 80 %", "share", metrics.precision_at_80),
        ]
    above = figures["joint"].macro_f1 - figures["naive-bayes"].macro_f1
    return [*scores, Score("  macro-F1 above naive Bayes", "share", above, ">= 0.15")]


CORPUS = Corpus(
    name="routing",
    folder="routing",
    question="Does a text get to where people sent it, and does the model know when it does not know?",
    run=run,
)
