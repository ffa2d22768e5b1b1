"""Tests that the phrase trie finds the same terms as their patterns."""

import re2
from hypothesis import given
from hypothesis import strategies as st

from parvis.router.rules.phrase_trie import PhraseTrie
from parvis.router.rules.term_patterns import compile_term, fold_for_matching, split_ascii_words

_WORDS = st.sampled_from(
    ["rue", "rues", "d'eau", "eau", "nid", "de", "poule", "2026", "r2", "œuvre", "a", "prix", "feux", "feu"]
)
_BETWEEN = st.sampled_from([" ", "-", "\n", ". ", "é", " ж ", "'", "2", "s", "x"])


@given(
    terms=st.lists(st.lists(_WORDS, min_size=1, max_size=3).map(" ".join), min_size=1, max_size=8, unique=True),
    text=st.lists(_WORDS | _BETWEEN, max_size=12).map("".join),
)
def test_the_trie_finds_the_same_terms_as_the_patterns(terms: list[str], text: str) -> None:
    folded = fold_for_matching(text)
    plain = {term: number for number, term in enumerate(terms) if split_ascii_words(term)}
    by_pattern = {number for term, number in plain.items() if re2.search(compile_term(term), folded)}
    assert PhraseTrie(plain).find_phrases(folded) == by_pattern
