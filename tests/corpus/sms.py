"""Measures SMS: segment counts, phone numbers, opt-out keywords, and texts that must arrive unchanged."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parvis.common.contract.errors import Rejected
from parvis.common.contract.normalize_contact_points import phone_contact_point
from parvis.common.text.sms_encoding import count_segments
from parvis.local.stack import Stack
from tests.corpus.corpus import Corpus, Score
from tests.corpus.door import a_form, contacts_in, id_of, post_all, preferences_in

_GROUPS = {
    "stop_default_twilio": "sms-stop", "twilio_proxy_also_blocks": "sms-stop", "start_default": "sms-start", "help_default": "sms-help",
}  # fmt: skip


async def run(folder: Path, stack: Stack) -> Sequence[Score]:
    scores: list[Score] = []
    if vectors := _read(folder, "segment_vectors.json"):
        scores += _segments(vectors["vectors"])
        scores += await _texts(stack, [vector["body"] for vector in vectors["vectors"]], "segment vectors")
    if numbers := _read(folder, "e164_examples.json"):
        scores += _numbers([row["e164"] for row in numbers])
    if short := _read(folder, "short_numbers.json"):
        scores += await _short(stack, sorted({row["number"] for row in short}))
    if keywords := _read(folder, "optout_keywords_twilio.json"):
        scores += await _keywords(
            stack, {word: source for group, source in _GROUPS.items() for word in keywords.get(group, ())}
        )
    for file in sorted(folder.glob("*.jsonl")):
        rows = [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]
        scores += await _texts(stack, [str(row["raw"]) for row in rows if row.get("raw")], file.stem)
    return scores


def _read(folder: Path, name: str) -> Any:
    file = folder / name
    if not file.exists():
        print(f"    {name}: missing, skipped")
        return None
    return json.loads(file.read_text("utf-8"))


def _share(right: Sequence[bool]) -> float:
    return sum(right) / len(right) if right else 1.0


def _segments(vectors: Sequence[dict[str, Any]]) -> list[Score]:
    counted = [count_segments(vector["body"]) for vector in vectors]
    counts = [count == vector["segments"] for (_, count), vector in zip(counted, vectors, strict=True)]
    named = [
        (alphabet, vector["encoding"])
        for (alphabet, _), vector in zip(counted, vectors, strict=True)
        if "encoding" in vector
    ]
    return [
        Score(f"segment counts right, of {len(vectors)}", "share", _share(counts), ">= 1"),
        Score(f"alphabets right, of {len(named)}", "share", _share([ours == theirs for ours, theirs in named]), ">= 1"),
    ]


def _numbers(numbers: Sequence[str]) -> list[Score]:
    right = [_as_point(number) == number for number in numbers]
    return [Score(f"numbers of the world read, of {len(numbers)}", "share", _share(right), ">= 1")]


def _as_point(number: str) -> str | None:
    try:
        return phone_contact_point(number).value
    except Rejected:
        return None


async def _short(stack: Stack, numbers: Sequence[str]) -> list[Score]:
    """A short number cannot be answered: the contact arrives without a contact point."""
    forms = [a_form(stack, index, "short", From=number, Body="Votre code") for index, number in enumerate(numbers)]
    statuses = await post_all(stack, forms)
    contacts_by_id = await contacts_in(stack)
    right = [
        (contacts := contacts_by_id.get(id_of(form), [])) != [] and contacts[0].personal.from_ is None for form in forms
    ]
    return [
        Score(f"short numbers taken and not answerable, of {len(forms)}", "share", _share(right), ">= 1"),
        Score("answers to short numbers other than 200", "", sum(status != 200 for status in statuses), "<= 0"),
    ]


async def _keywords(stack: Stack, words: dict[str, str]) -> list[Score]:
    """Each keyword unchanged, in lower case and with punctuation."""
    typed = [(text, source) for word, source in words.items() for text in (word, word.lower(), f"« {word} »!")]
    forms = [a_form(stack, number, "order", Body=text) for number, (text, _) in enumerate(typed)]
    statuses = await post_all(stack, forms)
    preferences, contacts = await preferences_in(stack), await contacts_in(stack)
    right = [
        id_of(form) in preferences and preferences[id_of(form)].source == source
        for form, (_, source) in zip(forms, typed, strict=True)
    ]
    routed = {text for form, (text, _) in zip(forms, typed, strict=True) if id_of(form) in contacts}
    return [
        Score(f"opt-out keywords obeyed, of {len(typed)}", "share", _share(right), ">= 1"),
        Score("of them also read by people (YES and CANCEL may be answers)", "", len(routed)),
        Score("answers to keywords other than 200", "", sum(status != 200 for status in statuses), "<= 0"),
    ]


async def _texts(stack: Stack, texts: Sequence[str], name: str) -> list[Score]:
    forms = [a_form(stack, number, name[-8:], Body=text) for number, text in enumerate(texts)]
    statuses = await post_all(stack, forms)
    contacts_by_id, preferences = await contacts_in(stack), await preferences_in(stack)
    right = [
        len(
            {contact.personal.text for contact in contacts_by_id.get(id_of(form), [])}
            | ({form["Body"]} if id_of(form) in preferences else set())
        )
        == 1
        and (id_of(form) in preferences or contacts_by_id[id_of(form)][0].personal.text == form["Body"])
        for form in forms
    ]
    return [
        Score(f"texts of {name} to the letter, of {len(texts)}", "share", _share(right), ">= 1"),
        Score(f"answers to {name} other than 200", "", sum(status != 200 for status in statuses), "<= 0"),
    ]


CORPUS = Corpus("sms", "sms", "are segments, numbers and keywords recognised, and texts unchanged?", run)
