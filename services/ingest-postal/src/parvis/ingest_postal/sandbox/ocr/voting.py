"""Merges several readings of one page by a vote on each word. Pure; no I/O."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from parvis.ingest_postal.models.page import TextLine, Word

Weight = Callable[[str], int]
Lines = tuple[TextLine, ...]

_SAME_PLACE_ACROSS, _SAME_PLACE_DOWN = 0.5, 0.4  # of the smaller box
_TALLEST = 2.5  # times the median height: a taller box is a stain or a drawing and would join several lines
_LIKENESS = 0.8  # weight of a similar reading
_IS_WORD, _IS_FREQUENT = 0.7, 0.5  # times its support: a speck read as « la » once does not win
_FIRST = 0.05  # the first reading found the blocks of the page and wins a tie


@dataclass(frozen=True)
class _ReadWord:
    """A word with its reading, line and block."""

    reading: int
    line: int
    block: int
    word: Word

    @property
    def height(self) -> float:
        return self.word.bottom - self.word.top


def vote(readings: Sequence[Lines], weight: Weight) -> Lines:
    """Return the first reading's blocks and lines with the words that the readings agree on best.

    Gives: as each word's confidence, the share of the readings, weighted by their confidence, that agree on it.
    """
    chosen = [_elect(group, readings, weight) for group in _group_by_position(_read_words(readings))]
    return _arrange_in_lines(readings[0], [read_word for group in chosen if group for read_word in group])


def _read_words(readings: Sequence[Lines]) -> list[_ReadWord]:
    return [
        _ReadWord(number, row, line.block, word)
        for number, lines in enumerate(readings)
        for row, line in enumerate(lines)
        for word in line.words
    ]


def _group_by_position(read_words: list[_ReadWord]) -> Iterator[list[_ReadWord]]:
    """Group the words of several readings by position; a word that other readings split joins both parts."""
    tallest = _TALLEST * median([read_word.height for read_word in read_words]) if read_words else 0.0
    order = sorted(read_words, key=lambda read_word: read_word.word.top)
    parents = list(range(len(order)))

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    for number, read_word in enumerate(order):
        for other in range(number + 1, len(order)):
            if order[other].word.top > read_word.word.bottom or read_word.height > tallest:
                break
            if (
                order[other].height <= tallest
                and read_word.reading != order[other].reading
                and _overlap(read_word.word, order[other].word)
            ):
                parents[root(number)] = root(other)
    groups = defaultdict[int, list[_ReadWord]](list)
    for number, read_word in enumerate(order):
        groups[root(number)].append(read_word)
    yield from groups.values()


def _overlap(left: Word, right: Word) -> bool:
    across = min(left.right, right.right) - max(left.left, right.left)
    down = min(left.bottom, right.bottom) - max(left.top, right.top)
    return (
        across > _SAME_PLACE_ACROSS * min(left.right - left.left, right.right - right.left)
        and down > _SAME_PLACE_DOWN * min(left.bottom - left.top, right.bottom - right.top)
    )  # fmt: skip


def _elect(group: list[_ReadWord], readings: Sequence[Lines], weight: Weight) -> list[_ReadWord] | None:
    """Choose the words of one group. None when the first reading and most of the others have nothing there."""
    by_reading = defaultdict[int, list[_ReadWord]](list)
    for read_word in sorted(group, key=lambda read_word: (read_word.line, read_word.word.left)):
        by_reading[read_word.reading].append(read_word)
    if 0 not in by_reading and len(by_reading) < len(readings) / 2:
        return None
    ballots = defaultdict[str, list[list[_ReadWord]]](list)
    for words in by_reading.values():
        ballots[" ".join(read_word.word.text for read_word in words)].append(words)
    support = {text: sum(map(_confidence, candidates)) for text, candidates in ballots.items()}

    def worth(text: str) -> float:
        similar = sum(_likeness(text, other) * votes for other, votes in support.items() if other != text)
        weights = [weight(part) for part in text.split()]
        word = (_IS_WORD * sum(w >= 1 for w in weights) + _IS_FREQUENT * sum(w >= 2 for w in weights)) / len(weights)
        first = _FIRST if any(words[0].reading == 0 for words in ballots[text]) else 0.0
        return (support[text] + _LIKENESS * similar) * (1 + word + first)

    best = max(ballots, key=worth)
    confidence = min(support[best] / len(readings), 1.0)
    words = min(ballots[best], key=lambda words: words[0].reading)
    position = by_reading.get(0, words)[0]  # the line of the first reading
    return [
        _ReadWord(
            position.reading,
            position.line,
            position.block,
            read_word.word.model_copy(update={"confidence": confidence}),
        )
        for read_word in words
    ]


def _confidence(words: list[_ReadWord]) -> float:
    letters = sum(len(read_word.word.text) for read_word in words)
    return sum(read_word.word.confidence * len(read_word.word.text) for read_word in words) / letters


def _arrange_in_lines(first: Lines, chosen: list[_ReadWord]) -> Lines:
    """Put the words on the first reading's lines. A word that it lacks joins the line at its height, or starts a new one."""
    rows = defaultdict[int, list[Word]](list)
    for read_word in chosen:
        if read_word.reading == 0:
            rows[read_word.line].append(read_word.word)
    unmatched = defaultdict[tuple[int, int], list[Word]](list)
    for read_word in chosen:
        if read_word.reading:
            row = _row(read_word.word, first)
            (rows[row] if row is not None else unmatched[read_word.reading, read_word.line]).append(read_word.word)
    lines = [
        TextLine(block=first[row].block, words=tuple(sorted(words, key=lambda word: word.left)))
        for row, words in sorted(rows.items())
    ]
    for words in unmatched.values():
        line = TextLine(block=0, words=tuple(sorted(words, key=lambda word: word.left)))
        lines.insert(_below(line, lines), line)
    return tuple(lines)


def _row(word: Word, lines: Lines) -> int | None:
    """The index of the line at the height of the word, the nearest of several. None without one."""
    middle = (word.top + word.bottom) / 2
    level = [
        (max(line.words[0].left - word.right, word.left - line.words[-1].right), row)
        for row, line in enumerate(lines)
        if min(line_word.top for line_word in line.words) < middle < max(line_word.bottom for line_word in line.words)
    ]
    return min(level)[1] if level else None


def _below(line: TextLine, lines: list[TextLine]) -> int:
    """The index after the last higher line, so that a footer stays last."""
    higher = [index for index, other in enumerate(lines) if other.words[0].top < line.words[0].top]
    return higher[-1] + 1 if higher else 0


def _likeness(left: str, right: str) -> float:
    """The similarity by edit distance: 1 for equal texts, 0 for nothing in common."""
    row = list(range(len(right) + 1))
    for row_number, a in enumerate(left, 1):
        corner, row[0] = row[0], row_number
        for column, b in enumerate(right, 1):
            corner, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, corner + (a != b))
    return 1 - row[-1] / max(len(left), len(right))
