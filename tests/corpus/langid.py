"""Scores language detection on short texts in many languages, and how often French is taken for English."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parvis.common.text.language import DETECTED_LANGUAGES, detect_language
from parvis.local.stack import Stack
from tests.corpus.corpus import Corpus, Score

LARGE = ("fr", "en", "es", "pt", "de", "it", "ar", "tr", "ru", "zh")


async def run(folder: Path, stack: Stack) -> Sequence[Score]:
    rows: list[dict[str, Any]] = [
        json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines() if line
    ]
    verdicts = Counter((row["lang"], detect_language(row["text"])) for row in rows)
    for (language, verdict), count in sorted(verdicts.items(), key=str):
        if language in DETECTED_LANGUAGES and verdict != language:
            print(f"      {language} taken for {verdict or 'nothing'}: {count}", flush=True)
    return [
        Score("texts in the ten large languages", "texts", _count(verdicts, LARGE)),
        Score("of these, right", "share", _right(verdicts, LARGE), ">= 0.97"),
        Score("of these, wrong (the rest: no verdict)", "share", _wrong(verdicts, LARGE)),
        Score("texts in all sixteen that we tell", "texts", _count(verdicts, DETECTED_LANGUAGES)),
        Score("of these, right", "share", _right(verdicts, DETECTED_LANGUAGES), ">= 0.97"),
        Score("French taken for English", "texts", verdicts["fr", "en"], "= 0"),
        Score(
            "texts in other languages",
            "texts",
            sum(n for (language, _), n in verdicts.items() if language not in DETECTED_LANGUAGES),
        ),
        Score(
            "of these, taken for one of ours",
            "share",
            _wrong(verdicts, {language for language, _ in verdicts} - set(DETECTED_LANGUAGES)),
        ),
    ]


def _count(verdicts: Counter[tuple[str, str | None]], languages: Any) -> int:
    return sum(count for (language, _), count in verdicts.items() if language in languages)


def _right(verdicts: Counter[tuple[str, str | None]], languages: Any) -> float:
    return sum(verdicts[language, language] for language in languages) / max(1, _count(verdicts, languages))


def _wrong(verdicts: Counter[tuple[str, str | None]], languages: Any) -> float:
    wrong = sum(
        count
        for (language, verdict), count in verdicts.items()
        if language in languages and verdict not in (language, None)
    )
    return wrong / max(1, _count(verdicts, languages))


CORPUS = Corpus(
    name="langid",
    folder="langid",
    question="Is the language of a short text told?",
    run=run,
)
