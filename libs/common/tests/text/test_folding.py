"""Facts about folding text for comparison."""

from hypothesis import given
from hypothesis import strategies as st

from parvis.common.text.folding import fold, fold_words


def test_case_accents_and_ligatures_go():
    assert fold("Œuvre à l'ÎLE") == "oeuvre a l'ile"
    assert fold("Straße") == "strasse"


def test_words_are_parted_by_one_space():
    assert fold_words("  L'eau,  s.v.p. ") == "l eau s v p"


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str):
    assert fold_words(fold_words(text)) == fold_words(text)
