"""Looks words up in the word list of Tesseract's traineddata. Pure once loaded."""

import re
import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

# The index of a part in a traineddata file gives its kind (tesseract: ccutil/tessdatamanager.h).
_WORDS, _SIGNS = 19, 21
# An edge of the graph holds a character, three flags and the next node (tesseract: dict/dawg.h, SquishedDawg).
_LAST, _BACKWARD, _END_OF_WORD = 1, 2, 4
_EDGE = re.compile(r"""^[("«“*-]+|[)"»”*.,;:!?…-]+$""")
_ELISION = re.compile(r"^(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu)['’](?=\w)", re.IGNORECASE)
# The most frequent French words: of two readings that are words, they are nearly always right (« des », not « dos »).
_FREQUENT = frozenset(
    [
        "a",
        "au",
        "aussi",
        "aux",
        "avec",
        "bien",
        "c'est",
        "ce",
        "ces",
        "cette",
        "comme",
        "d'un",
        "d'une",
        "dans",
        "de",
        "des",
        "du",
        "elle",
        "en",
        "est",
        "et",
        "faire",
        "fait",
        "il",
        "ils",
        "je",
        "la",
        "le",
        "les",
        "leur",
        "lui",
        "mais",
        "me",
        "mon",
        "même",
        "ne",
        "nos",
        "notre",
        "nous",
        "on",
        "ont",
        "ou",
        "où",
        "par",
        "pas",
        "plus",
        "pour",
        "qu'il",
        "que",
        "qui",
        "s'est",
        "sa",
        "sans",
        "se",
        "ses",
        "si",
        "son",
        "sont",
        "sur",
        "tous",
        "tout",
        "très",
        "un",
        "une",
        "vos",
        "votre",
        "vous",
        "y",
        "à",
        "été",
        "être",
    ]
)


class Lexicon:
    """The words of one language."""

    def __init__(self, traineddata: Path) -> None:
        parts = _parts(traineddata.read_bytes())
        self._signs = {sign: number for number, sign in enumerate(_signs(parts[_SIGNS]))}
        _, size, count = struct.unpack_from("<hii", parts[_WORDS])
        self._edges: Sequence[int] = np.frombuffer(parts[_WORDS], dtype="<u8", count=count, offset=10).tolist()
        self._sign_bits = size.bit_length()
        self._sign_mask = (1 << self._sign_bits) - 1
        self.has = lru_cache(maxsize=10_000)(self._has)

    def weight(self, text: str) -> int:
        """Return 2 for one of the most frequent words, 1 for another word, 0 for none; surrounding punctuation is ignored."""
        word = _EDGE.sub("", text).replace("’", "'")
        if word.lower() in _FREQUENT:
            return 2
        return int(len(word) > 1 and (self._has_any(word) or self._has_any(_ELISION.sub("", word))))

    def _has_any(self, word: str) -> bool:
        return self.has(word) or self.has(word.lower()) or self.has(word.capitalize())

    def _has(self, word: str) -> bool:
        node, flags = 0, 0
        for index, character in enumerate(word):
            if index and not node:  # a leaf: it has no next node, which is encoded like the root
                return False
            edge = next(
                (edge for edge in self._from(node) if edge & self._sign_mask == self._signs.get(character)), None
            )
            if edge is None:
                return False
            flags, node = edge >> self._sign_bits & 7, edge >> self._sign_bits + 3
        return bool(flags & _END_OF_WORD)

    def _from(self, node: int) -> Iterator[int]:
        while node < len(self._edges):
            edge = self._edges[node]
            flags = edge >> self._sign_bits & 7
            if not flags & _BACKWARD:
                yield edge
            if flags & _LAST:
                return
            node += 1


def _parts(content: bytes) -> dict[int, bytes]:
    (count,) = struct.unpack_from("<i", content)
    starts = sorted(
        (start, number) for number, start in enumerate(struct.unpack_from(f"<{count}q", content, 4)) if start >= 0
    )
    ends = [start for start, _ in starts[1:]] + [len(content)]
    return {number: content[start:end] for (start, number), end in zip(starts, ends, strict=True)}


def _signs(part: bytes) -> Iterator[str]:
    lines = part.decode().split("\n")
    for line in lines[1 : int(lines[0]) + 1]:
        yield line.split(" ")[0]
