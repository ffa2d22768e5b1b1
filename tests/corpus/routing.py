"""Texts that people sorted: how much of it can rules, a model, and both, and how right is the model where it is sure?

Every text is tried by models that did not know it nor one that is nearly the same (five folds; what was asked in two languages at once
stays in one fold). Rules alone
are rules without anybody who writes them: a text that holds a word of a label's own name goes there. The town's own rules do better on
the town's own messages; other people's labels have no rules.
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
    """Texts of one kind in one language; `groups` says what must not be torn apart."""

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
    async with run_embedder(max(1, min(4, os.cpu_count() or 1)), _CACHE) as meaning:
        sets = {one.name: one for file in sorted(folder.glob("*.jsonl")) for one in _sets(file)}
        for one in sets.values():
            print(f"      {one.name}: {len(one.examples)} texts", flush=True)
            scores += _scores(one.name, await _figures(one, one, meaning))
        if {"ati_canada fr", "ati_canada en"} <= sets.keys():
            figures = await _figures(sets["ati_canada fr"], sets["ati_canada en"], meaning, kinds=("joint",))
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
            [Example(row["text"], row["label"], language) for row in some],
            tuple(str(row.get("req") or row["text"]) for row in some),
        )
        for language, some in sorted(rows.items())
        if len(some) >= _FEWEST
    ]


async def _figures(
    known: _Set, tried: _Set, meaning: TextEmbedder, kinds: Sequence[str] = ()
) -> dict[str, ClassificationMetrics]:
    labels = sorted({example.label for example in (*known.examples, *tried.examples)})
    rows = [await _rows(meaning, one.examples) for one in (known, tried)]
    hints = [Example(label_to_words(label), label) for label in labels]
    hint_rows = await _rows(meaning, hints)
    found = {kind: np.zeros((len(tried.examples), len(labels) + 1), dtype=np.float32) for kind in kinds or BASELINES}
    for fold, left_out in zip(tried.folds(), known.folds(), strict=True):
        kept = np.setdiff1d(np.arange(len(known.examples)), left_out)
        there = sorted({known.examples[number].label for number in kept})
        here = [number for number, hint in enumerate(hints) if hint.label in there]
        trial = TrainTestSplit(
            [known.examples[number] for number in kept],
            [hints[number] for number in here],
            rows[0][kept],
            hint_rows[here],
            [tried.examples[number].text for number in fold],
            rows[1][fold],
        )
        columns = [labels.index(label) for label in there]
        for kind, shares in found.items():
            said = await asyncio.to_thread(BASELINES[kind], trial)
            shares[np.ix_(fold, columns)] = said[:, : len(columns)]
            if said.shape[1] > len(columns):
                shares[fold, -1] = said[:, -1]
    truth = np.array([labels.index(example.label) for example in tried.examples])
    return {kind: compute_metrics(shares, truth, class_count=len(labels)) for kind, shares in found.items()}


async def _rows(meaning: TextEmbedder, examples: Sequence[Example]) -> Floats:
    return await meaning.embed([example.text for example in examples])


def _scores(name: str, figures: dict[str, ClassificationMetrics]) -> list[Score]:
    words = {"rules": "rules alone", "joint": "model alone", "both": "both"}
    scores: list[Score] = []
    for kind, one in figures.items():
        what = f"{name}, {words.get(kind, kind)}"
        is_ours = kind == "joint"
        scores += [
            Score(f"{what}: accuracy", "share", one.accuracy),
            Score("  macro-F1", "share", one.macro_f1),
            Score("  precision at 50 %", "share", one.precision_at_50, ">= 0.95" if is_ours else ""),
            Score("  precision at 80 %", "share", one.precision_at_80),
        ]
    above = figures["joint"].macro_f1 - figures["naive-bayes"].macro_f1
    return [*scores, Score("  macro-F1 above naive Bayes", "share", above, ">= 0.15")]


CORPUS = Corpus(
    name="routing",
    folder="routing",
    question="Does a text get to where people sent it, and does the model know when it does not know?",
    run=run,
)
