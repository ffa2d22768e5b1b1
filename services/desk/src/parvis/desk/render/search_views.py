"""Builds what the search page shows: messages grouped by case, each with the passage that matched. Pure; no I/O."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup, escape

from parvis.desk.models.case import Case

_BEFORE, _LENGTH = 60, 220
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class FoundMessage:
    """One message that was found, with the passage that matched."""

    kind: str
    channel: str
    at: datetime
    passage: Markup


@dataclass(frozen=True)
class FoundCase:
    """A case with those of its messages that were found on this page."""

    case: Case
    messages: tuple[FoundMessage, ...] = ()


@dataclass(frozen=True)
class FoundPerson:
    """A person whose name or address was found."""

    name: str
    address: str
    cases: int
    last_at: datetime


def mark_passage(text: str, matches: Callable[[str], bool]) -> Markup:
    """The part of a text around the first match, with every match marked."""
    words = [match for match in _WORD.finditer(text) if matches(match[0])]
    start = max(0, words[0].start() - _BEFORE) if words else 0
    if start:
        start = text.find(" ", start, words[0].start()) + 1 or start
    end = min(len(text), start + _LENGTH)
    parts, position = [Markup("…") if start else Markup()], start
    for word in words:
        if start <= word.start() and word.end() <= end:
            parts += [escape(text[position : word.start()]), Markup("<mark>{}</mark>").format(word[0])]
            position = word.end()
    parts += [escape(text[position:end]), Markup("…") if end < len(text) else Markup()]
    return Markup().join(parts)


def group_by_case(
    found: Sequence[tuple[str, FoundMessage]], cases: Mapping[str, Case], references: Sequence[str]
) -> tuple[FoundCase, ...]:
    """Messages under their cases, in the order of what was found; first the cases whose reference was searched."""
    messages: dict[str, list[FoundMessage]] = {conversation: [] for conversation in references}
    for conversation, message in found:
        messages.setdefault(conversation, []).append(message)
    return tuple(FoundCase(cases[c], tuple(listed)) for c, listed in messages.items() if c in cases)
