"""Turns a text into TF-IDF weighted, hashed n-grams, and cuts what is embedded of it. Pure; numpy only.

Hashing (no vocabulary) means that no word can be read back from a model. Shapes in this package: n texts, F = FEATURE_KINDS * BUCKETS
n-gram features, L labels, D = 384 dimensions of the embedding.
"""

import itertools
import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

BUCKETS = 2**17  # for each kind; as good as a vocabulary on the routing corpus (macro-F1 within 0.005)
FEATURE_KINDS = 2  # character n-grams within words, then words and pairs of words
MAX_TEXT_CHARS = 2000  # a letter states its subject at the beginning
MAX_EMBEDDED_WORDS = 60  # 1.2 ms a word; 100 words gain 0.005 of macro-F1
_LONGEST_WORD = 40
_MOST_WEIGHT, _WEIGHT_OF_OTHERS = 450, 4  # sixty words of French have 360 letters, several to a token
_OF_MANY_A_TOKEN = re.compile(r"[\x00-\u02ff\u0370-\u2dff]")  # no combining accents, no Chinese, no emoji
_WORD = re.compile(r"\w\w+")
_MIN_NGRAM, _MAX_NGRAM = 2, 5


@dataclass(frozen=True, slots=True)
class HashedNgrams:
    """A sparse row of n-gram features: the buckets that the text fills, ascending, and their sublinear term frequency."""

    buckets: Ints
    values: Floats

    def weigh(self, idf: Floats) -> "HashedNgrams":
        """Multiply by `idf` (shape F) and scale each kind of feature to length one."""
        values = self.values * idf[self.buckets]
        is_character_ngram = self.buckets < BUCKETS
        for kind in (is_character_ngram, ~is_character_ngram):
            length = float(np.linalg.norm(values[kind]))
            if length:
                values[kind] /= length
        return HashedNgrams(self.buckets, values)


def truncate_for_embedding(text: str) -> str:
    """The beginning of a text, for the embedder: never empty, valid UTF-8 without NUL, which C code could trip over.

    Why: its time grows with the square of the tokens, of which 1,600 letters in one word or eighty Chinese characters have hundreds.
    """
    clean = text.replace("\0", " ").encode("utf-8", "replace").decode()
    words = [word[:_LONGEST_WORD] for word in clean[: 10 * MAX_TEXT_CHARS].split()[:MAX_EMBEDDED_WORDS]]
    joined = " ".join(words)
    weights = itertools.accumulate(1 if _OF_MANY_A_TOKEN.match(each) else _WEIGHT_OF_OTHERS for each in joined)
    return joined[: sum(weight <= _MOST_WEIGHT for weight in weights)].strip() or "-"


def hash_ngrams(text: str) -> HashedNgrams:
    """Hash the character n-grams (2 to 5, within words), the words and the pairs of words of a text; values are 1 + log(count)."""
    folded = _fold(text[:MAX_TEXT_CHARS])
    characters = (zlib.crc32(ngram.encode()) % BUCKETS for ngram in _character_ngrams(folded))
    words = (BUCKETS + zlib.crc32(ngram.encode()) % BUCKETS for ngram in _word_ngrams(folded))
    buckets, counts = np.unique(np.fromiter(itertools.chain(characters, words), dtype=np.int64), return_counts=True)
    return HashedNgrams(buckets, (1 + np.log(counts)).astype(np.float32))


def compute_idf(texts: Sequence[HashedNgrams]) -> Floats:
    """The smoothed inverse document frequency of every feature (shape F)."""
    frequency = np.zeros(FEATURE_KINDS * BUCKETS, dtype=np.int64)
    for text in texts:
        frequency[text.buckets] += 1
    return (np.log((1 + len(texts)) / (1 + frequency)) + 1).astype(np.float32)


def _fold(text: str) -> str:
    # Not the shared `fold`: its ligatures would change the features, and with them every stored model.
    decomposed = unicodedata.normalize("NFKD", text.encode("utf-8", "replace").decode().casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _word_ngrams(text: str) -> Iterator[str]:
    words = _WORD.findall(text)
    yield from words
    for first, second in itertools.pairwise(words):
        yield f"{first} {second}"


def _character_ngrams(text: str) -> Iterator[str]:
    for word in text.split():
        padded = f" {word} "
        for size in range(_MIN_NGRAM, _MAX_NGRAM + 1):
            if len(padded) <= size:
                yield padded
                break
            for start in range(len(padded) - size + 1):
                yield padded[start : start + size]
