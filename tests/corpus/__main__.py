"""Runs third-party samples through the ingest services (`make corpus [DATA=folder]`), prints a table and writes var/corpus/<name>.json."""

import asyncio
import importlib
import json
import os
import pkgutil
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tests.corpus
from parvis.local.stack import Stack
from tests.corpus.corpus import Corpus, Score

DOORS = ("ingest-sms", "ingest-email", "ingest-web", "ingest-postal")
FOLDER = Path("var/corpus")


def corpora() -> list[Corpus]:
    """Every module of this folder that has a CORPUS, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(tests.corpus.__path__))
    modules = [importlib.import_module(f"tests.corpus.{name}") for name in names if name != "__main__"]
    return [module.CORPUS for module in modules if hasattr(module, "CORPUS")]


def main(arguments: Sequence[str]) -> int:
    data = Path(arguments[0] if arguments else os.environ.get("PARVIS_SAMPLES", ""))  # noqa: TID251 (a test's own)
    if not data.parts or not data.is_dir():
        sys.stderr.write("no samples: run make corpus DATA=folder, or set PARVIS_SAMPLES\n")
        return 2
    wanted = set(arguments[1:])
    shutil.rmtree(FOLDER / "stack", ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    missed = 0
    with Stack.start(FOLDER / "stack", services=list(DOORS), environment={"PARVIS_LOG_FORMAT": "json"}) as stack:
        for corpus in corpora():
            if wanted and corpus.name not in wanted:
                continue
            if not (data / corpus.folder).is_dir():
                print(f"{corpus.name}: skipped, because {data} has no folder {corpus.folder}", flush=True)
                continue
            print(f"{corpus.name}: {corpus.question}", flush=True)
            scores = asyncio.run(corpus.run(data / corpus.folder, stack))
            (FOLDER / f"{corpus.name}.json").write_text(json.dumps([_row(corpus, score) for score in scores], indent=2))
            missed += sum(not score.is_met for score in scores)
            for score in scores:
                _show(score)
    return 1 if missed else 0


def _row(corpus: Corpus, score: Score) -> dict[str, Any]:
    value = round(score.value, 4)
    return {
        "corpus": corpus.name, "metric": score.metric, "unit": score.unit,
        "median": value, "min": value, "max": value, "runs": 1, "target": score.target,
    }  # fmt: skip


def _show(score: Score) -> None:
    verdict = "" if not score.target else "met" if score.is_met else "MISSED"
    print(f"    {score.metric:<56}{score.value:>10.4g} {score.unit:<10}{score.target:<10}{verdict}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
