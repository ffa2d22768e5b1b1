"""Tests the words of a rule that may stand in any order, near each other, with a typing error each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.router.rules.term_patterns import fold_for_matching
from parvis.router.rules.word_proximity import NearError, ProximityMatcher, parse_near

MATCHER = ProximityMatcher([(7, parse_near("gaz & odeur | fuite | sent*", ("facture gaz",)))])


@pytest.mark.parametrize(
    "text",
    [
        "une odeur de gaz",
        "gaz : ça sent",
        "ODEURE de gaaaz",
        "oduer forte, du gaz",
        "fuitte gaz",
        "facture ? non, gaz, fuite",
    ],
)
def test_words_near_each_other_match_in_any_order(text: str) -> None:
    assert MATCHER.find_terms(fold_for_matching(text)) == {7}


@pytest.mark.parametrize(
    "text",
    [
        "du gaz",
        "une odeur",
        "la facture de gaz et une fuite",
        "gaz " + "un autre mot puis " * 9 + "odeur",
        "gare et hauteur",
    ],
)
def test_other_texts_do_not_match(text: str) -> None:
    assert MATCHER.find_terms(fold_for_matching(text)) == set()


def test_a_phrase_that_excuses_does_not_hide_another_occurrence() -> None:
    assert MATCHER.find_terms("facture de gaz payee mais odeur de gaz") == {7}


LEXICON = {
    "child": ("enfant*", "mon fils"),
    "still": ("bouge/respire plus/pas", "par terre"),
    "ordinary": ("etrange*",),
}
IN_DANGER = ProximityMatcher(
    [(3, parse_near("@child & @still", ("@child malade",), LEXICON)), (4, parse_near("etrangl* & par terre"))],
    LEXICON["ordinary"],
)


@pytest.mark.parametrize(
    "text",
    [
        "lenfant ne respire plus",
        "par terre, un anfant, enfan par terre",
        "mon fils il bouge meme plus",
        "enfents par terre",
    ],
)
def test_a_name_stands_for_its_words_and_phrases_without_apostrophe_and_as_they_sound(text: str) -> None:
    assert IN_DANGER.find_terms(fold_for_matching(text)) == {3}


@pytest.mark.parametrize(
    "text",
    [
        "mon voisin a un fils, il ne bouge plus",
        "l'enfant malade ne respire plus",
        "plus un enfant ne bouge",
        "un étranger par terre",
    ],
)
def test_a_phrase_keeps_its_order_and_an_ordinary_word_is_no_typing_error(text: str) -> None:
    assert IN_DANGER.find_terms(fold_for_matching(text)) == set()


def test_a_name_that_the_lexicon_does_not_have_is_refused() -> None:
    with pytest.raises(NearError, match="@smok"):
        parse_near("@smok & rue", (), LEXICON)


def test_a_part_without_words_is_refused() -> None:
    with pytest.raises(NearError):
        parse_near("gaz & |")


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    assert MATCHER.find_terms(fold_for_matching(text)) <= {7}
